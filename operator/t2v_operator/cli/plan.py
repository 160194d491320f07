"""`t2v plan`: what a video would take, before anything is downloaded or loaded."""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from t2v_api.base import ContractError
from t2v_api.execution import ladder
from t2v_api.memory import (
    CUDA_CONTEXT,
    GIB,
    NoPlanFits,
    PlanChoice,
    choose,
    in_gib,
)
from t2v_api.profile import ModelProfile
from t2v_api.reasons import ExitCode
from t2v_api.sizes import ModelSizes

from t2v_operator.cli.output import (
    complain,
    read_all,
    say,
    takes_config,
    takes_manifests,
    with_uid,
)
from t2v_operator.cli.run import default_models_dir
from t2v_operator.config import load_config
from t2v_operator.core.request import ResolvedJob, resolve
from t2v_operator.errors import RequestRefused

UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": GIB,
    "Ti": 2**40,
}


class SizesUnknown(ValueError):
    """Nothing says how large a model is."""


def arguments(parser: argparse.ArgumentParser) -> None:
    takes_config(parser)
    takes_manifests(parser)
    parser.add_argument(
        "--gpu-memory", type=_quantity, default=24 * GIB, help="the GPU's memory (24Gi)"
    )
    parser.add_argument(
        "--host-memory", type=_quantity, help="the host's; without it, the profile's `resources`"
    )
    parser.add_argument("--fp8", action="store_true", help="also plans that keep 8-bit weights")
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="where models with a relative path are",
    )


def plan(options: argparse.Namespace) -> int:
    """Print what is downloaded, the memory plan and its expected peak; make nothing."""
    config = load_config(options.config)
    code = ExitCode.DONE
    for resource in read_all(options.filename):
        name = resource.metadata.name
        try:
            job = resolve(with_uid(resource), config)
            say(f"{name}: {_told(job, options)}")
        except RequestRefused as refusal:
            complain(f"{name}: {refusal.reason}: {refusal.message}")
            code = code or ExitCode.REQUEST_REFUSED
        except SizesUnknown as unknown:
            complain(f"{name}: {unknown}")
            code = code or ExitCode.MODEL_REFUSED
        except NoPlanFits as misfit:
            complain(f"{name}: {misfit}")
            code = code or ExitCode.OUT_OF_MEMORY
    return code


def _told(job: ResolvedJob, options: argparse.Namespace) -> str:
    profile, request = job.profile, job.request
    sizes = _sizes(profile, options.models_dir)
    choice = choose(
        sizes,
        request,
        options.gpu_memory - CUDA_CONTEXT,
        options.host_memory or _quantity(profile.resources.memory),
        ladder(options.fp8),
        profile.grid,
    )
    return "\n  ".join(
        (
            f"{profile.id}, {request.width}x{request.height}, {request.num_frames} frames",
            f"download:  {_download(profile, sizes)}",
            f"weights:   {in_gib(sizes.weights)}",
            *_plan_lines(choice),
        )
    )


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


def _download(profile: ModelProfile, sizes: ModelSizes) -> str:
    if profile.source.hub is None:
        return "nothing: the model is a folder"
    if sizes.download is None:
        return f"{profile.source.hub}; the profile's `sizes.download` does not say how much"
    return f"{in_gib(sizes.download)} from {profile.source.hub}"


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
    folders = [str(models_dir / each.path) for each in sources if each.path]
    command = [sys.executable, "-m", "t2v_runner.weights", *folders]
    measured = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        return ModelSizes.parse_json(measured.stdout)
    except ContractError:
        said = measured.stderr.strip().splitlines()[-1:] or [f"{folders[0]}: not measured"]
        raise SizesUnknown(said[0]) from None


def _quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMGT]|[KMGT]i|)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no quantity; write 24Gi")
    return int(float(match[1]) * UNITS[match[2]])
