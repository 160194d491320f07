"""What a video is expected to take, as the status tells it before a GPU is taken. Pure."""

from collections.abc import Sequence

from t2v_api.resource import Estimate

from t2v_operator.core.earlier_runs import EarlierRun, expected_seconds
from t2v_operator.core.pools import memory_plan
from t2v_operator.core.request import ResolvedJob


def estimate(job: ResolvedJob, runs: Sequence[EarlierRun]) -> Estimate | None:
    """Of a job that is placed; None where nothing is known, or no GPU is needed."""
    if not job.profile.resources.gpus:
        return None
    choice, sizes = memory_plan(job), job.profile.sizes
    seconds = expected_seconds(job.request, job.pool.name, runs)
    if choice is None:
        return Estimate(seconds=seconds) if seconds is not None else None
    download = 0 if job.model_is_prefetched else sizes.download if sizes else None
    return Estimate(
        plan=str(choice.plan),
        gpu_bytes=choice.peak.gpu,
        host_bytes=choice.peak.host,
        download_bytes=download,
        seconds=seconds,
    )
