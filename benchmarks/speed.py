"""Draw one request at each speed: seconds a step, and how like the exact video the others are.

    python -m benchmarks.speed                                      # a Wan of random weights
    python -m benchmarks.speed --profile wan.yaml --models /models --device cuda --steps 50

Random weights say what is skipped and what that saves, nothing about pictures: their steps differ
more than a trained model's, and are allowed so many times the family's threshold (--allow).
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from t2v_api.family import ModelFamily
from t2v_api.profile import ModelProfile
from t2v_api.progress import Stage
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_api.speed import Speed
from t2v_runner.denoise import denoise
from t2v_runner.device import Device, choose_device
from t2v_runner.families import adapter_of
from t2v_runner.families.reversible import replaced
from t2v_runner.families.step_cache import FirstBlock
from t2v_runner.model import load_pipeline, locate_model
from t2v_runner.reporter import Reporter
from t2v_runner.speed import cache_of
from t2v_runner.stop import StopSignal

from benchmarks.likeness import psnr, ssim
from benchmarks.random_wan import request_of
from tests.runner.tiny_models import a_profile, a_wan
from tests.runner.tiny_variants import changed

PROMPT = "a large red circle moves right"
WIDTHS = {"num_attention_heads": 8, "attention_head_dim": 64, "ffn_dim": 2048, "num_layers": 12}
DEFAULTS = {"width": 128, "height": 128, "num_frames": 17, "scheduler": Scheduler.EULER_DISCRETE}


@dataclass(frozen=True)
class Run:
    """One video at one speed."""

    cache: str
    seconds_per_step: float
    frames: Any


def main() -> None:
    """Measure, print a table."""
    options = _options()
    device = choose_device(int(options.device == "cuda"), options.device)
    with _model(options) as (profile, models):
        pipeline = load_pipeline(locate_model(profile, models), profile, device)
    steps = {"num_inference_steps": options.steps}
    request = request_of(profile.defaults, profile.id, prompt=PROMPT, seed=0, **steps)
    with _allowing(profile.family, options.allow):
        _drawn(pipeline, profile, request.model_copy(update={"num_inference_steps": 2}))
        runs = {speed: _best(pipeline, profile, request, speed, options.rounds) for speed in Speed}
    _print(runs, _described(profile, request, device, options.allow))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--profile", type=Path, help="a model's profile; else one of random weights"
    )
    parser.add_argument("--models", type=Path, default=Path("/models"), help="its source.path's")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=1, help="the quickest of so many is told")
    parser.add_argument("--allow", type=float, help="times the family's threshold")
    options = parser.parse_args()
    if options.allow is None:
        options.allow = 1.0 if options.profile else 8.0
    return options


@contextmanager
def _model(options: argparse.Namespace) -> Iterator[tuple[ModelProfile, Path]]:
    if options.profile:
        yield ModelProfile.parse(yaml.safe_load(options.profile.read_text())), options.models
        return
    with tempfile.TemporaryDirectory() as folder:
        pipeline = a_wan()
        torch.manual_seed(0)
        pipeline.register_modules(transformer=changed(pipeline.transformer, **WIDTHS))
        pipeline.save_pretrained(folder)
        profile = a_profile(ModelFamily.WAN, Path(folder))
        defaults = profile.defaults.model_copy(update=DEFAULTS)
        yield profile.model_copy(update={"defaults": defaults}), Path()


@contextmanager
def _allowing(family: ModelFamily, times: float) -> Iterator[None]:
    adapter = adapter_of(family)
    real = adapter.caches

    def caches(pipeline: Any) -> Any:
        return {
            speed: replace(cache, threshold=times * cache.threshold)
            if isinstance(cache, FirstBlock)
            else cache
            for speed, cache in real(pipeline).items()
        }

    with replaced(adapter, "caches", caches):
        yield


def _best(
    pipeline: Any, profile: ModelProfile, request: GenerationRequest, speed: Speed, rounds: int
) -> Run:
    wanted = GenerationRequest.parse(request.document() | {"speed": speed.value})
    runs = [_drawn(pipeline, profile, wanted) for _ in range(rounds)]
    return min(runs, key=lambda run: run.seconds_per_step)


def _drawn(pipeline: Any, profile: ModelProfile, request: GenerationRequest) -> Run:
    adapter = adapter_of(profile.family)
    reporter = Reporter(lambda _: None, StopSignal())
    frames = denoise(pipeline, adapter, request, None, reporter).frames
    timings, _ = reporter.finish()
    seconds = timings[Stage.DENOISE] / request.num_inference_steps
    return Run(str(cache_of(adapter, pipeline, request) or "-"), seconds, frames)


def _described(
    profile: ModelProfile, request: GenerationRequest, device: Device, allow: float
) -> str:
    name = torch.cuda.get_device_name() if device.name == "cuda" else device.name
    return (
        f"{profile.id}: {request.width}x{request.height}, {request.num_frames} frames, "
        f"{request.num_inference_steps} steps, {name} in {device.dtype}, threshold x {allow:g}"
    )


def _print(runs: dict[Speed, Run], described: str) -> None:
    exact = runs[Speed.EXACT]
    print(described, file=sys.stderr)
    print("| speed | cache | s/step | ratio | PSNR | SSIM |\n|---|---|---|---|---|---|")
    for speed, run in runs.items():
        ratio = run.seconds_per_step / exact.seconds_per_step
        likeness = f"{psnr(exact.frames, run.frames):.1f} dB | {ssim(exact.frames, run.frames):.3f}"
        print(f"| {speed} | {run.cache} | {run.seconds_per_step:.3f} | {ratio:.2f} | {likeness} |")


if __name__ == "__main__":
    main()
