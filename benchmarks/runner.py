"""The runner against a plain diffusers script: same model, scheduler, steps and seed.

Both run in turn, A B A B, as whole processes: seconds from start to MP4, peak resident memory.
Ratios within one run are what counts; the machine may be busy.

    python benchmarks/runner.py [ROUNDS]
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from t2v_operator.config import load_config
from t2v_operator.job import build_job
from t2v_operator.manifest import read_manifests
from t2v_operator.request import resolve

ROOT = Path(__file__).parents[1]
MODELS = ROOT / "models"


@dataclass(frozen=True)
class Run:
    """One process: wall-clock seconds and peak resident memory in MiB."""

    seconds: float
    peak_mib: float


def measured(command: list[str], environment: dict[str, str]) -> Run:
    """Run to the end; the figures are the kernel's own."""
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit code {process.returncode}: {' '.join(command)[:200]}")
    return Run(time.monotonic() - began, usage.ru_maxrss / 1024)


def main() -> None:
    """Print the medians and the ratio runner / plain."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    config = load_config(None)
    (resource,) = read_manifests((ROOT / "examples" / "red-circle.yaml").read_text(), "example")
    job = resolve(resource, config)
    (container,) = build_job(job, config)["spec"]["template"]["spec"]["containers"]
    request = {each["name"]: each["value"] for each in container["env"]}
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **os.environ,
            "T2V_REQUEST": request["T2V_REQUEST"],
            "T2V_MODEL": request["T2V_MODEL"],
            "T2V_MODELS_DIR": str(MODELS),
            "T2V_OUTPUT_DIR": f"{folder}/runner",
            "T2V_TERMINATION_LOG": f"{folder}/termination-log",
        }
        ours = [sys.executable, "-m", "t2v_runner"]
        plain = [
            sys.executable,
            str(ROOT / "benchmarks" / "plain.py"),
            request["T2V_REQUEST"],
            str(MODELS / "tiny-shapes"),
            f"{folder}/plain.mp4",
        ]
        measured(ours, environment)  # warm the file cache for both
        measured(plain, environment)
        pairs = [(measured(ours, environment), measured(plain, environment)) for _ in range(rounds)]
    for name, index in (("runner", 0), ("plain", 1)):
        runs = [pair[index] for pair in pairs]
        print(
            f"{name:7} {median(run.seconds for run in runs):6.2f} s "
            f"{median(run.peak_mib for run in runs):7.0f} MiB"
        )
    print(
        f"ratio   {median(a.seconds / b.seconds for a, b in pairs):6.2f}   "
        f"{median(a.peak_mib / b.peak_mib for a, b in pairs):7.2f}   (n = {rounds})"
    )


if __name__ == "__main__":
    main()
