"""The command line and the client on a real cluster: a video from its prompt to its file."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import av
import pytest
from installation import LONG, Installation, Workspace
from t2v_client import Client, Invalid, NotFound, a_video

SEEDS = ("--seeds", "1-2")
QUICK = ("--model", "tiny-shapes", "--num-inference-steps", "3")


def t2v(workspace: Workspace, *words: str, code: int = 0) -> str:
    """What it prints; what it complains of where it is to fail."""
    environment = {**os.environ, "KUBECONFIG": str(workspace.cluster.kubeconfig)}
    done = subprocess.run(
        [sys.executable, "-m", "t2v_operator", words[0], "-n", workspace.namespace, *words[1:]],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def frames(file: Path) -> int:
    with av.open(str(file)) as container:
        return len(list(container.decode(video=0)))


def test_prompts_become_files(embedded: Installation, workspace: Workspace, tmp_path: Path) -> None:
    name = f"film-{secrets.token_hex(3)}"
    asked = ("a red circle moving right", "--name", name, "--label", f"film={name}", "-o", "name")
    names = t2v(workspace, "submit", *asked, *SEEDS, *QUICK).split()
    assert names == [f"{name}-1", f"{name}-2"]
    told = t2v(workspace, "watch", "-l", f"film={name}")
    for each in names:
        assert f"{each}  Succeeded  100 %" in told
    listed = json.loads(t2v(workspace, "list", "-l", f"film={name}", "-o", "json"))["items"]
    assert [each["metadata"]["name"] for each in listed] == names
    files = t2v(workspace, "download", *names, "-o", str(tmp_path)).split()
    assert [frames(Path(file)) for file in files] == [16, 16]
    assert (tmp_path / "contact-sheet.html").exists()
    described = t2v(workspace, "describe", names[0])
    assert "Phase:        Succeeded" in described
    assert "Events:" in described
    log = t2v(workspace, "logs", names[0])
    assert '"stage":"denoise"' in log.replace(" ", "")
    assert t2v(workspace, "link", names[0]).startswith("http://")
    t2v(workspace, "delete", "-l", f"film={name}")
    assert "NotFound" in t2v(workspace, "describe", names[0], code=1)


def test_a_video_that_runs_is_cancelled_and_runs_again(
    embedded: Installation, workspace: Workspace
) -> None:
    name = f"cancelled-{secrets.token_hex(3)}"
    steps = str(LONG["numInferenceSteps"])
    words = ("--name", name, "--model", "tiny-shapes", "--num-inference-steps", steps)
    t2v(workspace, "submit", "a blue square", *words)
    workspace.wait_for_phase(name, "Running")
    t2v(workspace, "cancel", name)
    workspace.wait_for_phase(name, "Failed")
    assert "Cancelled" in t2v(workspace, "watch", name, code=1)
    t2v(workspace, "retry", name)
    assert f"{name}  Succeeded" in t2v(workspace, "watch", name)


def test_the_client_gives_a_path(
    embedded: Installation, workspace: Workspace, tmp_path: Path
) -> None:
    phases: list[str] = []
    with Client(kubeconfig=embedded.cluster.kubeconfig, namespace=workspace.namespace) as client:
        file = client.generate(
            "a red circle moving right",
            model="tiny-shapes",
            seed=7,
            num_inference_steps=3,
            folder=tmp_path,
            on_change=lambda video: phases.append(video.phase),
        )
        assert frames(file) == 16
        assert phases[-1] == "Succeeded"
        with pytest.raises(NotFound):
            client.get("no-such-video")
        wrong = a_video("a", model="tiny-shapes", name="wrong")
        wrong["spec"]["width"] = 65
        with pytest.raises(Invalid, match=r'The TextToVideoJob "wrong" is invalid: .*width'):
            client.submit(wrong)
