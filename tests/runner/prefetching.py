"""Run the prefetch as a process of its own, against a hub on this machine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import torch
from t2v_api.prefetch import PrefetchResult, read_prefetch
from t2v_api.profile import ModelProfile
from t2v_api.progress import Progress
from t2v_api.result import TERMINATION_MESSAGE_BYTES, GenerationFailure

from tests.runner.hub_server import Hub
from tests.runner.test_hub_pipelines import files_of
from tests.runner.test_hub_store import ROOT
from tests.runner.tiny_models import a_wan

WAN = "owner/wan"


def the_files_of_a_wan(folder: Path) -> dict[str, bytes]:
    torch.manual_seed(0)
    a_wan().save_pretrained(str(folder))
    return files_of(folder)


def begun(
    hub: Hub, folder: Path, profile: ModelProfile, **environment: str
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "t2v_runner.hub"],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(ROOT / name) for name in ("api", "runner")),
            "HF_ENDPOINT": hub.url,
            "T2V_MODEL": profile.json_line(),
            "T2V_MODELS_CACHE": str(folder / "cache"),
            "T2V_TERMINATION_LOG": str(folder / "record"),
            **environment,
        },
        stdout=subprocess.PIPE,
        text=True,
    )


Ended = tuple[int, list[Progress], PrefetchResult | GenerationFailure]


def ended(process: "subprocess.Popen[str]", folder: Path) -> Ended:
    with process:
        lines = process.communicate()[0].splitlines()
    record = (folder / "record").read_text()
    assert len(record.encode()) <= TERMINATION_MESSAGE_BYTES
    return process.returncode, [*map(Progress.parse_json, lines)], read_prefetch(record)


def prefetched(hub: Hub, folder: Path, profile: ModelProfile, **environment: str) -> Ended:
    return ended(begun(hub, folder, profile, **environment), folder)


def sha256_of(*models: dict[str, bytes]) -> str:
    lines = (
        f"{hashlib.sha256(model[path]).hexdigest()}  {path}\n"
        for model in models
        for path in sorted(model)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
