"""One manifest down the whole way without a cluster: the program as a user runs it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.reasons import ExitCode
from t2v_api.resource import TextToVideoJobStatus
from t2v_operator.config import load_config

ROOT = Path(__file__).parents[2]
T2V = [sys.executable, "-m", "t2v_operator"]


def a_manifest(name: str = "red-circle", **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "textto.video/v1alpha1",
            "kind": "TextToVideoJob",
            "metadata": {"name": name},
            "spec": {
                "modelId": "tiny-shapes",
                "prompt": "a red circle",
                "numInferenceSteps": 2,
                **spec,
            },
        }
    )


def t2v(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*T2V, *arguments], input=stdin, capture_output=True, text=True, check=False, cwd=ROOT
    )


def statuses(output: str) -> list[TextToVideoJobStatus]:
    return [
        TextToVideoJobStatus.parse(document["status"])
        for document in yaml.load_all(output, Loader=yaml.SafeLoader)
        if document
    ]


def test_a_drawn_seed_is_recorded_and_makes_the_video_again(tmp_path: Path) -> None:
    out = str(tmp_path)
    manifests = a_manifest("one") + "---\n" + a_manifest("two", seed=None)
    drawn = t2v("run", "-f", "-", "-o", out, stdin=manifests)
    assert drawn.returncode == ExitCode.DONE, drawn.stderr
    one, two = statuses(drawn.stdout)
    assert one.resolved
    assert one.video
    assert two.video
    assert one.video.frames_sha256 != two.video.frames_sha256
    again = t2v("run", "-f", "-", "-o", out, stdin=a_manifest("again", seed=one.resolved.seed))
    (status,) = statuses(again.stdout)
    assert status.video
    assert status.video.frames_sha256 == one.video.frames_sha256
    assert status.output_url == (tmp_path / "again" / "video.mp4").as_uri()
    assert (tmp_path / "again" / "contact-sheet.png").exists()
    assert sorted(os.listdir(tmp_path)) == ["again", "one", "two"]


def test_a_video_is_made_with_a_model_of_the_same_file(tmp_path: Path) -> None:
    description = load_config(None).models[0].document()
    spec = {name: value for name, value in description.items() if name != "id"}
    model = yaml.safe_dump(
        {
            "apiVersion": "textto.video/v1alpha1",
            "kind": "VideoModel",
            "metadata": {"name": "shapes"},
            "spec": spec,
        }
    )
    both = f"{a_manifest(modelId='shapes', seed=1)}---\n{model}"
    made = t2v("run", "-f", "-", "-o", str(tmp_path), stdin=both)
    assert made.returncode == ExitCode.DONE, made.stderr
    (status,) = statuses(made.stdout)
    assert status.resolved
    assert (status.resolved.model_id, status.phase) == ("shapes", "Succeeded")


@pytest.mark.parametrize(
    ("spec", "code", "message"),
    [
        ({"width": 513}, ExitCode.REQUEST_REFUSED, "multiple of 8, not 513"),
        ({"promt": "x"}, ExitCode.REQUEST_REFUSED, "did you mean 'prompt'?"),
        ({"modelId": "other"}, ExitCode.REQUEST_REFUSED, "known: tiny-shapes"),
        (
            {"scheduler": "DDIMInverseScheduler", "schedulerPolicy": "Strict"},
            ExitCode.REQUEST_REFUSED,
            "SchedulerNotSupported: scheduler DDIMInverseScheduler cannot be used",
        ),
    ],
    ids=str,
)
def test_a_refused_request_writes_nothing(
    tmp_path: Path, spec: dict[str, Any], code: ExitCode, message: str
) -> None:
    done = t2v("run", "-f", "-", "-o", str(tmp_path / "out"), stdin=a_manifest(**spec))
    assert done.returncode == code
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    done = t2v("run", "-f", str(tmp_path / "absent.yaml"))
    assert done.returncode == ExitCode.REQUEST_REFUSED
    assert "absent.yaml: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "spec", "code", "reason"),
    [
        (["--models-dir", "/nowhere"], {}, ExitCode.MODEL_REFUSED, "ModelNotLoadable"),
        (
            [],
            {"initImage": "file:///nowhere.png"},
            ExitCode.INIT_MEDIA_REFUSED,
            "InitMediaRefused",
        ),
        (
            [],
            {"initImage": "http://127.0.0.1:9/a.png"},
            ExitCode.INIT_MEDIA_REFUSED,
            "InitMediaRefused",
        ),
        (
            [],
            {"initImage": "store://uploads/cat.png"},
            ExitCode.INIT_MEDIA_REFUSED,
            "InitMediaRefused",
        ),
    ],
    ids=["no model", "no init media", "a private address", "no store"],
)
def test_what_the_runner_refuses_is_told_with_its_exit_code(
    tmp_path: Path, arguments: list[str], spec: dict[str, Any], code: ExitCode, reason: str
) -> None:
    out = tmp_path / "out"
    done = t2v("run", "-f", "-", "-o", str(out), *arguments, stdin=a_manifest(**spec))
    assert done.returncode == code, done.stderr
    (status,) = statuses(done.stdout)
    assert status.phase == "Failed"
    assert status.attempts[0].reason == reason
    assert not out.exists() or os.listdir(out) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_stops_cleanly_between_steps(tmp_path: Path, number: signal.Signals) -> None:
    manifest = tmp_path / "m.yaml"
    manifest.write_text(a_manifest(numInferenceSteps=50, width=256, height=256))
    out = tmp_path / "out"
    with subprocess.Popen(
        [*T2V, "run", "-f", str(manifest), "-o", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if "denoise  2/50" in line:
                break
        process.send_signal(number)
        began = time.monotonic()
        output, _ = process.communicate(timeout=120)
    assert process.returncode == ExitCode.STOPPED, time.monotonic() - began
    (status,) = statuses(output)
    assert status.attempts[0].reason == "Stopped"
    assert not list(out.rglob("*.mp4"))


def test_validate_checks_without_making(tmp_path: Path) -> None:
    for example in (ROOT / "examples").glob("*.yaml"):
        assert t2v("validate", "-f", str(example)).returncode == ExitCode.DONE
    refused = t2v("validate", "-f", "-", stdin=a_manifest(numFrames=33))
    assert refused.returncode == ExitCode.REQUEST_REFUSED
    assert "numFrames is 33; this model draws at most 32" in refused.stderr


def test_the_lists_name_what_there_is() -> None:
    assert "tiny-shapes" in t2v("models").stdout
    assert len(t2v("schedulers").stdout.splitlines()) == 18
