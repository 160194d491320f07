"""What a video is expected to take, as the status tells it before a GPU is taken. Pure."""

from collections.abc import Sequence

from t2v_api.lora import Lora
from t2v_api.resource import Estimate

from t2v_operator.core.earlier_runs import EarlierRun, expected_seconds
from t2v_operator.core.loras import download_bytes
from t2v_operator.core.pools import memory_plan
from t2v_operator.core.request import ResolvedJob


def estimate(
    job: ResolvedJob, runs: Sequence[EarlierRun], loras: Sequence[Lora] = ()
) -> Estimate | None:
    """Of a job that is placed; None where nothing is known, or no GPU is needed.

    `loras`: the configuration's, which say how large they are.
    """
    if not job.profile.resources.gpus:
        return None
    choice = memory_plan(job)
    seconds = expected_seconds(job.request, job.pool.name, runs)
    if choice is None:
        return Estimate(seconds=seconds) if seconds is not None else None
    return Estimate(
        plan=str(choice.plan),
        gpu_bytes=choice.peak.gpu,
        host_bytes=choice.peak.host,
        download_bytes=_download_bytes(job, loras),
        seconds=seconds,
    )


def _download_bytes(job: ResolvedJob, loras: Sequence[Lora]) -> int | None:
    """Of the model and of what is added to it; LoRAs are not prefetched with a model."""
    sizes = job.profile.sizes
    of_model = 0 if job.model_is_prefetched else sizes.download if sizes else None
    of_loras = download_bytes(job.request.loras, loras)
    return None if of_model is None or of_loras is None else of_model + of_loras
