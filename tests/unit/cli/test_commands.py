"""The commands that ask a cluster: what they print, ask for, and end with."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.resource import PLURAL
from t2v_operator.cli.main import SUMMARIES, main

from tests.unit.client.cluster import MP4, Cluster, refused

Capture = pytest.CaptureFixture[str]
PODS = "/api/v1/namespaces/films/pods"
EVENTS = "/api/v1/namespaces/films/events"


def specs(cluster: Cluster) -> list[Any]:
    return [each["spec"] for each in cluster.videos.values()]


def a_manifest(name: str = "red", **spec: Any) -> str:
    return yaml.safe_dump(
        {
            "apiVersion": "textto.video/v1alpha1",
            "kind": "TextToVideoJob",
            "metadata": {"name": name},
            "spec": {"modelId": "tiny-shapes", "prompt": "a red circle", **spec},
        }
    )


def test_every_command_has_its_module_and_help(capsys: Capture) -> None:
    for name in SUMMARIES:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
    assert "usage: t2v run" in capsys.readouterr().out


def test_prompts_are_submitted_with_a_seed_each(cluster: Cluster, capsys: Capture) -> None:
    words = ["--model", "tiny-shapes", "a red circle", "--seeds", "1-2,9", "--width", "64"]
    assert main(["submit", *words, "--guidance-scale", "2.5", "--name", "red"]) == 0
    assert [name for _, name in cluster.videos] == ["red-1", "red-2", "red-9"]
    assert [each["seed"] for each in specs(cluster)] == [1, 2, 9]
    assert specs(cluster)[0]["width"] == 64
    assert specs(cluster)[0]["guidanceScale"] == 2.5
    assert capsys.readouterr().out.splitlines()[0] == "texttovideojob.textto.video/red-1 created"


def test_a_table_of_prompts(cluster: Cluster, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "prompts.csv"
    table.write_text(
        "\ufeffprompt,name,seed,num_frames,enhancePrompt\n"
        '"a circle, red",one,7,16,false\na blue square,,,,\n'
    )
    words = ["--csv", str(table), "--model", "tiny-shapes", "--label", "film=7", "-o", "name"]
    assert main(["submit", *words]) == 0
    first, second = capsys.readouterr().out.split()
    assert first == "one"
    assert second.startswith("a-blue-square-")
    asked = {"modelId": "tiny-shapes", "prompt": "a circle, red", "seed": 7}
    assert specs(cluster)[0] == {**asked, "numFrames": 16, "enhancePrompt": False}
    assert specs(cluster)[1] == {"modelId": "tiny-shapes", "prompt": "a blue square"}
    assert cluster.videos["films", "one"]["metadata"]["labels"] == {"film": "7"}


def test_manifests_are_submitted_as_they_stand(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "red.yaml"
    file.write_text(a_manifest(seed=3))
    assert main(["submit", "-f", str(file), "-n", "other"]) == 0
    document = cluster.videos["other", "red"]
    assert document["spec"] == {"modelId": "tiny-shapes", "prompt": "a red circle", "seed": 3}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["a"], "--model is missing"),
        ([], "nothing is asked for"),
        (["a", "--model", "m", "--width", "65"], "spec.width"),
        (["a", "--model", "m", "--width", "wide"], "--width: width is no 'wide'"),
        (["a", "--model", "m", "--set", "colour=red"], "unknown field 'colour'"),
        (["a", "--model", "m", "--set", "pool"], "FIELD=VALUE"),
        (["a", "b", "--model", "m", "--name", "x", "--set", "seed=x"], "seed is no 'x'"),
        (["a", "--model", "m", "--number", "0"], "0 videos"),
        (["a", "--model", "m", "--number", "2", "--seeds", "1-2"], "leave the number out"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_a_wrong_wish_submits_nothing(
    cluster: Cluster, capsys: Capture, words: list[str], complaint: str
) -> None:
    assert main(["submit", *words]) == 2
    assert complaint in capsys.readouterr().err
    assert cluster.requests == []


def test_a_list_is_a_table_for_people_and_documents_for_programs(
    cluster: Cluster, capsys: Capture
) -> None:
    cluster.put("red", spec={"prompt": "a red\x1b[31m circle\nand more"})
    cluster.put("blue", status={"phase": "Running", "progress": {"percent": 62}})
    cluster.put("far", namespace="other")
    assert main(["list"]) == 0
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split() == ["NAME", "PHASE", "PROGRESS", "MODEL", "AGE", "PROMPT"]
    assert rows[0].split()[:2] == ["red", "Pending"]
    assert "a red [31m circle and more" in rows[0]
    assert rows[1].split()[:4] == ["blue", "Running", "62", "%"]
    assert len(rows) == 2
    assert main(["list", "-A", "-o", "name"]) == 0
    assert capsys.readouterr().out.split() == ["red", "blue", "far"]
    assert main(["list", "--phase", "running", "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["items"]
    assert found == cluster.videos["films", "blue"]
    assert main(["list", "-n", "empty"]) == 0
    assert capsys.readouterr().err == "No videos found in namespace empty.\n"


def test_errors_are_kubectls(cluster: Cluster, capsys: Capture) -> None:
    for command in ("describe", "cancel", "retry", "delete", "link", "logs", "download", "watch"):
        assert main([command, "gone"]) == 1
        told = capsys.readouterr().err
        assert told == f'Error from server (NotFound): {PLURAL}.textto.video "gone" not found\n'
    assert main(["list", "--context", "nowhere"]) == 1
    assert "Unable to connect to the server" in capsys.readouterr().err
    assert main(["list", "--context", "elsewhere"]) == 1
    assert capsys.readouterr().err == "kubeconfig: there is no context elsewhere\n"
    assert main(["list", "--kubeconfig", "absent"]) == 1
    assert "there is no absent" in capsys.readouterr().err


def test_many_are_cancelled_though_one_is_refused(cluster: Cluster, capsys: Capture) -> None:
    for name in ("red", "blue"):
        cluster.put(name, metadata={"labels": {"film": "7"}})
    cluster.put("green")
    assert main(["cancel", "gone", "-l", "film=7"]) == 1
    printed, told = capsys.readouterr()
    assert printed.splitlines() == [
        "texttovideojob.textto.video/red cancelled",
        "texttovideojob.textto.video/blue cancelled",
    ]
    assert "NotFound" in told
    assert [each.get("cancel") for each in specs(cluster)] == [True, True, None]
    assert main(["cancel"]) == 2
    assert "no video is named" in capsys.readouterr().err


def test_describe_tells_the_story(cluster: Cluster, capsys: Capture) -> None:
    cluster.put("red", status={"attempts": [{"podName": "red-x", "reason": "OutOfMemory"}]})
    cluster.succeed("red")
    event = {
        "type": "Normal",
        "reason": "Succeeded",
        "message": "the video is there",
        "lastTimestamp": "2026-01-02T03:04:05Z",
    }
    cluster.objects[EVENTS] = {"items": [event]}
    assert main(["describe", "red"]) == 0
    told = capsys.readouterr().out
    assert "Drawn as:     as it was drawn" in told
    assert "1. OutOfMemory in red-x" in told
    assert "the video is there" in told
    assert main(["describe", "red", "-o", "yaml"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == cluster.videos["films", "red"]


def test_many_are_fetched_with_a_contact_sheet(
    cluster: Cluster, tmp_path: Path, capsys: Capture
) -> None:
    for name in ("red", "blue"):
        cluster.put(name, spec={"prompt": "<b>& a circle"})
        cluster.succeed(name)
    cluster.put("green")
    assert main(["download", "red", "green", "blue", "-o", str(tmp_path / "videos")]) == 1
    printed, told = capsys.readouterr()
    folder = tmp_path / "videos"
    assert printed.split() == [str(folder / "red.mp4"), str(folder / "blue.mp4")]
    assert "green is Pending: it has no video" in told
    assert (folder / "red.mp4").read_bytes() == MP4
    sheet = (folder / "contact-sheet.html").read_text()
    assert sheet.count("<video") == 2
    assert "&lt;b&gt;&amp; a circle" in sheet
    assert main(["download", "red", "blue", "-o", str(tmp_path / "one.mp4")]) == 2
    assert "do not fit" in capsys.readouterr().err


def test_a_log_is_printed_as_it_is(cluster: Cluster, capsys: Capture) -> None:
    cluster.put("red", status={"jobName": "red-1"})
    pod = {"metadata": {"name": "p", "creationTimestamp": "2026-01-02T00:00:00Z"}}
    cluster.objects[PODS] = {"items": [pod]}
    cluster.objects[f"{PODS}/p/log"] = "one\ntwo\n"
    assert main(["logs", "red", "-f"]) == 0
    assert capsys.readouterr().out == "one\ntwo\n"


def test_a_new_link_is_printed_alone(cluster: Cluster, capsys: Capture) -> None:
    cluster.put("red")
    cluster.succeed("red")
    assert main(["link", "red"]) == 0
    assert capsys.readouterr().out == f"{cluster.address}/files/red.mp4?signature=new\n"


def test_a_watch_without_a_terminal_tells_changes_and_ends(
    cluster: Cluster, capsys: Capture
) -> None:
    cluster.put("red")
    cluster.put("blue")

    def work() -> None:
        cluster.put("red", status={"phase": "Running", "progress": {"percent": 40}})
        cluster.succeed("red")
        status = {"phase": "Failed", "observedGeneration": 1, "message": "too large"}
        cluster.put("blue", status=status)

    worker = threading.Timer(0.5, work)
    worker.start()
    assert main(["watch"]) == 1
    worker.join()
    printed, told = capsys.readouterr()
    assert "red  Succeeded  100 %  8.9 s" in printed.splitlines()
    assert "blue has failed" in told
    assert main(["watch", "red", "-o", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["metadata"]["name"] == "red"
    assert main(["watch", "-n", "empty"]) == 0


def test_a_schema_that_is_older_refuses_a_cancel(cluster: Cluster, capsys: Capture) -> None:
    cluster.put("red")
    message = 'strict decoding error: unknown field "spec.cancel"'
    cluster.refusals += [refused(400, "BadRequest", message)]
    assert main(["cancel", "red"]) == 1
    assert capsys.readouterr().err == f"Error from server (BadRequest): {message}\n"
