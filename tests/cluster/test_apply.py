"""`kubectl apply` makes a video: the whole way on a real cluster."""

import json
from pathlib import Path

import av
import numpy as np
import yaml
from checker import check
from installation import ROOT, Workspace, a_manifest
from numpy.typing import NDArray

EXAMPLE, WITH_A_LORA = (
    yaml.safe_load((ROOT / "examples" / f"{name}.yaml").read_text())
    for name in ("red-circle", "red-bar")
)


def frames_in(video: Path) -> NDArray[np.uint8]:
    """As a player shows them: (frames, height, width, 3)."""
    with av.open(str(video)) as container:
        assert container.streams.video[0].codec_context.name == "h264"
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_apply_makes_the_video_that_was_asked_for(workspace: Workspace, tmp_path: Path) -> None:
    workspace.apply(EXAMPLE)
    workspace.kubectl(
        "wait", "--for=condition=Ready", "t2v/red-circle", "--timeout=240s", timeout_seconds=250
    )
    status = workspace.status("red-circle")
    assert status["phase"] == "Succeeded"
    assert status["resolved"]["prompt"] == EXAMPLE["spec"]["prompt"]
    assert status["resolved"]["seed"] == 42
    assert {"load", "denoise", "decode", "upload"} <= set(status["timings"])
    assert status["progress"]["percent"] == 100

    video = tmp_path / "video.mp4"
    video.write_bytes(workspace.file(status["outputUrl"]))
    assert video.stat().st_size == status["video"]["bytes"]
    frames = frames_in(video)
    assert frames.shape == (16, 64, 64, 3)
    seen = check(frames)
    assert (seen.colour, seen.direction) == ("red", "right")

    short = workspace.kubectl("get", "t2v", "red-circle").splitlines()
    assert short[0].split() == ["NAME", "PHASE", "PROGRESS", "MODEL", "AGE"]
    assert short[1].split()[:4] == ["red-circle", "Succeeded", "100", "tiny-shapes"]
    wide = workspace.kubectl("get", "t2v", "red-circle", "-o", "wide").splitlines()
    assert wide[0].split() == ["NAME", "PHASE", "PROGRESS", "MODEL", "URL", "SEED", "TIME", "AGE"]
    assert status["outputUrl"] in wide[1]
    assert " 42 " in wide[1]

    explained = workspace.kubectl("explain", "t2v.spec.strength")
    assert "How much of the init image or video is destroyed" in explained
    reasons = {
        event["reason"]
        for event in json.loads(workspace.kubectl("get", "events", "-o", "json"))["items"]
        if event["involvedObject"]["kind"] == "TextToVideoJob"
        and event["involvedObject"]["name"] == "red-circle"
    }
    assert {"JobCreated", "Succeeded"} <= reasons


def test_a_lora_draws_what_the_model_alone_does_not_know(
    workspace: Workspace, tmp_path: Path
) -> None:
    workspace.apply(WITH_A_LORA, a_manifest("not-listed", loras=[{"source": "owner/anything"}]))
    refused = workspace.wait_for_phase("not-listed", "Failed")
    assert "loras[0].source is 'owner/anything'" in refused["message"]
    assert not workspace.children("jobs", "not-listed")
    status = workspace.wait_for_phase("red-bar", "Succeeded", "Failed", seconds=240)
    assert status["phase"] == "Succeeded", status["message"]
    video = tmp_path / "video.mp4"
    video.write_bytes(workspace.file(status["outputUrl"]))
    seen = check(frames_in(video))
    assert (seen.colour, seen.shape, seen.direction) == ("red", "bar", "right")


def test_any_name_and_any_prompt_are_fine(workspace: Workspace) -> None:
    name = ".".join(["n" * 63] * 3) + "." + "n" * 61
    assert len(name) == 253
    prompts = {
        name: "a red circle",
        "strange": "a \"red\"\n'circle' 🔴 $(HOME) $$(T2V_MODEL) \\ `ls` {{x}}",
        "right-to-left": "\u202eدائرة حمراء\u202c כדור",
        "dollar": "$(KUBERNETES_SERVICE_HOST)",
    }
    workspace.apply(*(a_manifest(each, prompt=prompt) for each, prompt in prompts.items()))
    for each, prompt in prompts.items():
        status = workspace.wait_for_phase(each, "Succeeded", "Failed", seconds=300)
        assert status["phase"] == "Succeeded", status["message"]
        assert status["resolved"]["prompt"] == prompt
        assert workspace.file(status["outputUrl"])[4:8] == b"ftyp"
