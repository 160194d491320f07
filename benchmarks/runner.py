"""The runner against a plain diffusers script: same model, scheduler, steps and seed.

Both run in turn, A B A B, as whole processes. Seconds from the start until the first denoising
step is done, until the MP4 is complete, and until the process has ended, which is when a Job is
done; CPU seconds, of all threads; peak resident memory. The ratios are medians of each pair's
ratio: the machine may be busy.

    python benchmarks/runner.py [ROUNDS]
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median

from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.resource import TextToVideoJob
from t2v_operator.cli.manifest import read_manifests
from t2v_operator.config import load_config
from t2v_operator.core.request import resolve

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"
FIRST_STEP = b'"step":1,'
"""In what both of them print when it is done."""


@dataclass(frozen=True)
class Run:
    """One process, seconds and MiB."""

    to_first_step: float
    to_mp4: float
    to_end: float
    cpu: float
    peak_mib: float


def measured(command: list[str], environment: Mapping[str, str], mp4: Path) -> Run:
    """Run to the end; the figures are the kernel's own, but for the first step's."""
    began, first_step = time.time(), 0.0
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout
    for line in process.stdout:
        if FIRST_STEP in line and not first_step:
            first_step = time.time() - began
    _, status, usage = os.wait4(process.pid, 0)
    ended = time.time()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(command)[:200]}")
    return Run(
        to_first_step=first_step,
        # Set by the last write, and by the rename to the final name.
        to_mp4=mp4.stat().st_ctime - began,
        to_end=ended - began,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
    )


def compare(request: GenerationRequest, profile: ModelProfile, models: Path, rounds: int) -> None:
    """Print the medians and the ratios runner / plain. The profile's path is one in `models`."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "T2V_REQUEST": request.json_line(),
            "T2V_MODEL": profile.json_line(),
            "T2V_MODELS_DIR": str(models),
            "T2V_OUTPUT_DIR": f"{folder}/runner",
            "T2V_TERMINATION_LOG": f"{folder}/termination-log",
        }
        ours = [sys.executable, "-m", "t2v_runner"]
        our_mp4 = Path(folder, "runner", "video.mp4")
        plain_mp4 = Path(folder, "plain.mp4")
        plain = [
            sys.executable,
            str(ROOT / "benchmarks" / "plain.py"),
            request.json_line(),
            str(models / (profile.source.path or "")),
            str(plain_mp4),
        ]

        def pair() -> tuple[Run, Run]:
            return measured(ours, environment, our_mp4), measured(plain, os.environ, plain_mp4)

        pair()  # warms the file cache for both
        pairs = [pair() for _ in range(rounds)]
    print(f"        {'to step':>8} {'to MP4':>8} {'to end':>8} {'CPU':>8} {'peak':>8}")
    show("runner", [run for run, _ in pairs], "{:6.2f} s", "{:4.0f} MiB")
    show("plain", [run for _, run in pairs], "{:6.2f} s", "{:4.0f} MiB")
    show("ratio", [quotient(*each) for each in pairs], "{:8.2f}", "{:8.2f}")
    print(f"n = {rounds}")


def quotient(ours: Run, plain: Run) -> Run:
    """`ours` in terms of `plain`."""
    return Run(*(a / b for a, b in zip(astuple(ours), astuple(plain), strict=True)))


def show(name: str, runs: list[Run], seconds: str, mib: str) -> None:
    """One line of the table: the median of each figure."""
    *times, peak = (median(figures) for figures in zip(*map(astuple, runs), strict=True))
    print(f"{name:7}", *(seconds.format(each) for each in times), mib.format(peak))


def the_example() -> tuple[GenerationRequest, ModelProfile]:
    """The default example's, drawn by tiny-shapes."""
    manifest = (ROOT / "examples" / "red-circle.yaml").read_text()
    (resource,) = read_manifests(manifest, "example")
    assert isinstance(resource, TextToVideoJob)
    job = resolve(resource, load_config(None))
    return job.request, job.profile


def main() -> None:
    """The default example, in two threads unless the environment says otherwise."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    compare(*the_example(), MODELS, rounds)


if __name__ == "__main__":
    main()
