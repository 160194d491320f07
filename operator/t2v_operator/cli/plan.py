"""`t2v plan`: what a video would take, before anything is downloaded or loaded."""

import argparse
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from t2v_api.base import ContractError
from t2v_api.memory import NoPlanFits, PlanChoice, in_gib
from t2v_api.profile import ModelProfile
from t2v_api.quantity import bytes_of
from t2v_api.reasons import EXIT_CODES, ExitCode
from t2v_api.resource import TextToVideoJob
from t2v_api.sizes import ModelSizes

from t2v_operator.cli.catalogue import catalogue, read_models, takes_models
from t2v_operator.cli.earlier import read_earlier
from t2v_operator.cli.output import (
    complain,
    read_all,
    say,
    takes_config,
    takes_manifests,
    videos_in,
    with_uid,
)
from t2v_operator.cli.run import default_models_dir
from t2v_operator.config import OperatorConfig, load_config
from t2v_operator.core.catalogue import Catalogue
from t2v_operator.core.earlier_runs import EarlierRuns, expected_seconds
from t2v_operator.core.keys import assumed_key
from t2v_operator.core.loras import download_bytes
from t2v_operator.core.pools import placed, plan_for
from t2v_operator.core.request import ResolvedJob, resolve
from t2v_operator.errors import RequestRefused

DEFAULT_GPU = "24Gi"
"""Where neither the command line nor the pool says what a GPU has."""


class SizesUnknown(ValueError):
    """Nothing says how large a model is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_manifests(parser)
    takes_models(parser)
    parser.add_argument("--pool", help="the GPU pool; without it, the one that the operator takes")
    parser.add_argument(
        "--gpu-memory",
        type=_memory,
        help=f"the GPU's memory; without it, the pool's, or {DEFAULT_GPU}",
    )
    parser.add_argument(
        "--host-memory", type=_memory, help="the host's; without it, the profile's `resources`"
    )
    parser.add_argument("--fp8", action="store_true", help="also plans that keep 8-bit weights")
    parser.add_argument(
        "--earlier",
        metavar="FILE",
        help="finished resources that tell how long it takes: what `kubectl get t2v -o yaml` or "
        "`t2v run` prints; '-' for standard input",
    )
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="where models with a relative path are",
    )


def perform(options: argparse.Namespace) -> int:
    """Print what is downloaded, the memory plan, its expected peak and time; make nothing."""
    config = load_config(options.config)
    earlier = read_earlier(options.earlier) if options.earlier else None
    resources = read_all(options.filename)
    known = catalogue(config, [*resources, *read_models(options.models)])
    code = ExitCode.DONE
    for resource in videos_in(resources, options.filename):
        name = resource.metadata.name
        try:
            job = _job(with_uid(resource), config, known, options)
            say(f"{name}: {_told(job, config, earlier)}")
        except RequestRefused as refusal:
            complain(f"{name}: {refusal.reason}: {refusal.message}")
            code = code or EXIT_CODES[refusal.reason]
        except SizesUnknown as unknown:
            complain(f"{name}: {unknown}")
            code = code or ExitCode.MODEL_REFUSED
        except NoPlanFits as misfit:
            complain(f"{name}: {misfit}")
            code = code or ExitCode.OUT_OF_MEMORY
    return code


def _job(
    resource: TextToVideoJob,
    config: OperatorConfig,
    known: Catalogue,
    options: argparse.Namespace,
) -> ResolvedJob:
    """The job as the options have it, in the pool that it would run in."""
    if options.pool:
        spec = resource.spec.model_copy(update={"pool": options.pool})
        resource = resource.model_copy(update={"spec": spec})
    job = resolve(resource, config, catalogue=known, key=assumed_key(resource, config))
    job = replace(job, profile=_profile(job.profile, options))
    if options.gpu_memory:
        pool = job.pool.model_copy(update={"gpu_memory": options.gpu_memory})
        return replace(job, pool=pool)
    return placed(job, config)


def _profile(profile: ModelProfile, options: argparse.Namespace) -> ModelProfile:
    changed: dict[str, object] = {"sizes": _sizes(profile, options.models_dir)}
    if options.host_memory:
        memory = {"memory": options.host_memory}
        changed["resources"] = profile.resources.model_copy(update=memory)
    if options.fp8:
        changed["execution"] = profile.execution.model_copy(update={"fp8": True})
    return profile.model_copy(update=changed)


def _told(job: ResolvedJob, config: OperatorConfig, earlier: EarlierRuns | None) -> str:
    profile, request, pool = job.profile, job.request, job.pool
    assert profile.sizes  # they were read before
    memory = pool.gpu_memory or DEFAULT_GPU
    choice = plan_for(profile, request, bytes_of(memory))
    return "\n  ".join(
        (
            f"{profile.id}, {request.width}x{request.height}, {request.num_frames} frames",
            f"pool:      {pool.name}, a GPU with {memory}",
            f"download:  {_download(profile, profile.sizes, job.model_is_prefetched)}",
            *_lora_line(job, config),
            f"weights:   {in_gib(profile.sizes.weights)}",
            *_plan_lines(choice),
            f"time:      {_time(job, earlier)}",
        )
    )


def _time(job: ResolvedJob, earlier: EarlierRuns | None) -> str:
    if earlier is None:
        return "not known; `--earlier FILE` with finished videos tells it"
    seconds = expected_seconds(job.request, job.pool.name, earlier.of(job.profile.id))
    if seconds is None:
        return f"not known: no earlier video of this model in pool {job.pool.name} is like it"
    return f"{seconds:.0f} s, by an earlier video"


def _plan_lines(choice: PlanChoice) -> tuple[str, ...]:
    peak = choice.peak
    parts = (
        f"encoding {in_gib(peak.encoding)}, denoising {in_gib(peak.denoising)}, "
        f"decoding {in_gib(peak.decoding)}"
    )
    rest = ", ".join(str(each) for each in choice.rest) or "nothing"
    return (
        f"plan:      {choice.plan}",
        f"peak:      {in_gib(peak.gpu)} ({parts})",
        f"host:      {in_gib(peak.host)}",
        f"then:      {rest}",
    )


def _download(profile: ModelProfile, sizes: ModelSizes, is_prefetched: bool) -> str:
    if profile.source.hub is None:
        return f"nothing: the model is {profile.source.image or 'a folder'}"
    if sizes.download is None:
        return f"{profile.source.hub}; the profile's `sizes.download` does not say how much"
    told = f"{in_gib(sizes.download)} from {profile.source.hub}"
    return f"{told}, once, into the model cache" if is_prefetched else told


def _lora_line(job: ResolvedJob, config: OperatorConfig) -> tuple[str, ...]:
    if not job.request.loras:
        return ()
    size = download_bytes(job.request.loras, config.loras)
    known = "the list does not say how much" if size is None else in_gib(size)
    names = ", ".join(each.name for each in job.request.loras)
    return (f"LoRAs:     {names}; to download: {known}",)


def _sizes(profile: ModelProfile, models_dir: Path) -> ModelSizes:
    """From the profile, else from the model's folder, which the runner measures."""
    if profile.sizes:
        return profile.sizes
    sources = [each for each in (profile.source, profile.motion_adapter) if each]
    hubs = [each.hub for each in sources if each.hub]
    if hubs:
        raise SizesUnknown(
            f"model {profile.id} is {hubs[0]}, and its profile has no `sizes`; "
            "see docs/memory.md, or `python -m t2v_runner.weights FOLDER` for a copy of it"
        )
    if profile.images:
        raise SizesUnknown(
            f"model {profile.id} is {profile.images[0].image}, and its profile has no `sizes`; "
            "`python -m t2v_runner.weights FOLDER` tells those of a copy"
        )
    folders = [str(models_dir / each.path) for each in sources if each.path]
    command = [sys.executable, "-m", "t2v_runner.weights", *folders]
    measured = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        return ModelSizes.parse_json(measured.stdout)
    except ContractError:
        said = measured.stderr.strip().splitlines()[-1:] or [f"{folders[0]}: not measured"]
        raise SizesUnknown(said[0]) from None


def _memory(text: str) -> str:
    try:
        bytes_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
