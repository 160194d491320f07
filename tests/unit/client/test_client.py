"""The client against a cluster of a few lines: what it asks, gives and complains of."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from t2v_api.base import ContractError
from t2v_client import (
    EVERYWHERE,
    AlreadyExists,
    AsyncClient,
    Client,
    DownloadFailed,
    Forbidden,
    Invalid,
    LoginError,
    NoLog,
    NotFound,
    NothingToDo,
    NoVideo,
    Unreachable,
    VideoFailed,
    VideoGone,
    a_video,
    downloading,
    watching,
)
from t2v_client.aio import RENEW_LINKS_ANNOTATION
from t2v_operator.core import names

from tests.unit.client.cluster import MP4, Cluster, refused

PODS = "/api/v1/namespaces/films/pods"


def operate(cluster: Cluster, act: Any) -> Any:
    """An `on_change` that lets the operator do something with the video when it is new."""
    done: list[str] = []

    def on_change(video: Any) -> None:
        if video.name not in done:
            done.append(video.name)
            threading.Thread(target=act, args=(video.name,)).start()

    return on_change


def test_a_prompt_becomes_a_file(cluster: Cluster, tmp_path: Path) -> None:
    async def go() -> Path:
        async with AsyncClient() as client:
            return await client.generate(
                "a red circle moving right",
                model="tiny-shapes",
                seed=7,
                num_frames=16,
                folder=tmp_path,
                on_change=operate(cluster, cluster.succeed),
            )

    file = asyncio.run(go())
    assert file.read_bytes() == MP4
    ((namespace, name),) = cluster.videos
    assert (namespace, file.name) == ("films", f"{name}.mp4")
    assert name.startswith("a-red-circle-moving-right-")
    assert cluster.videos[namespace, name]["spec"] == {
        "modelId": "tiny-shapes",
        "prompt": "a red circle moving right",
        "seed": 7,
        "numFrames": 16,
    }
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ""] == [file.name]


def test_the_same_without_asyncio(cluster: Cluster, tmp_path: Path) -> None:
    with Client() as client:
        file = client.generate(
            "a red circle",
            model="tiny-shapes",
            name="red",
            folder=tmp_path,
            on_change=operate(cluster, cluster.succeed),
        )
        assert file == tmp_path / "red.mp4"
        assert client.get("red").seed == 7
        assert [each.name for each in client.list()] == ["red"]
        client.delete("red")
        with pytest.raises(NotFound):
            client.get("red")


def test_what_has_failed_says_why(cluster: Cluster, tmp_path: Path) -> None:
    def fail(name: str) -> None:
        conditions = [{"type": "Ready", "status": "False", "reason": "OutOfMemory"}]
        status = {"phase": "Failed", "observedGeneration": 1, "message": "too large"}
        cluster.put(name, status={**status, "conditions": conditions})

    with Client() as client, pytest.raises(VideoFailed, match="OutOfMemory: too large") as error:
        client.generate("a", model="m", folder=tmp_path, on_change=operate(cluster, fail))
    assert error.value.reason == "OutOfMemory"


def test_what_is_deleted_is_not_waited_for(cluster: Cluster) -> None:
    cluster.put("red")
    with Client() as client, pytest.raises(VideoGone):
        client.wait("red", on_change=operate(cluster, cluster.drop))


def test_a_wrong_request_asks_nobody(cluster: Cluster) -> None:
    with Client() as client, pytest.raises(ContractError, match=r"spec\.width.*65"):
        client.generate("a", model="m", width=65)
    assert cluster.requests == []


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ((403, "Forbidden", "no rights"), Forbidden, "Error from server (Forbidden): no rights"),
        (
            (409, "AlreadyExists", "there"),
            AlreadyExists,
            "Error from server (AlreadyExists): there",
        ),
        (
            (422, "Invalid", 'TextToVideoJob.textto.video "a" is invalid: spec.x: no'),
            Invalid,
            'The TextToVideoJob "a" is invalid: spec.x: no',
        ),
    ],
    ids=["forbidden", "there already", "invalid"],
)
def test_refusals_are_typed_and_in_kubectls_words(
    cluster: Cluster, answer: tuple[int, str, str], kind: Any, text: str
) -> None:
    cluster.refusals.append(refused(*answer))
    with Client() as client, pytest.raises(kind) as error:
        client.submit(a_video("a", model="m", name="a"))
    assert str(error.value) == text
    assert error.value.status == answer[0]


def test_a_server_that_is_not_there(cluster: Cluster) -> None:
    with Client(context="nowhere") as client, pytest.raises(Unreachable, match="Unable to connect"):
        client.get("red")
    with pytest.raises(LoginError, match="no context elsewhere"), Client(context="elsewhere"):
        pass


def test_whose_namespace(cluster: Cluster) -> None:
    cluster.put("red")
    cluster.put("blue", namespace="other")
    with Client() as client:
        assert client.namespace == "films"
        assert [each.name for each in client.list(namespace="other")] == ["blue"]
        assert len(client.list(namespace=EVERYWHERE)) == 2
    with Client(namespace="other") as client:
        assert client.get("blue").namespace == "other"
        made = client.submit(a_video("a", model="m") | {"metadata": {"name": "a"}})
        assert made.namespace == "other"


def test_cancel_and_retry_are_fields_of_the_spec_and_strict(cluster: Cluster) -> None:
    cluster.put("red")
    with Client() as client:
        assert client.cancel("red").spec["cancel"] is True
        with pytest.raises(NothingToDo, match="red is under way"):
            client.retry("red")
        generation = client.get("red").document["metadata"]["generation"]
        cluster.put("red", status={"phase": "Failed", "observedGeneration": generation})
        again = client.retry("red").spec
        assert again["retryToken"] == "1"
        assert "cancel" not in again
    patches = [path for method, path in cluster.requests if method == "PATCH"]
    assert all("fieldValidation=Strict" in path for path in patches)


def test_a_watch_goes_on_where_it_broke(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSES_SECONDS", (0.0,) * 3)
    cluster.put("red")
    cluster.put("green", metadata={"labels": {"film": "7"}})
    told = []
    with Client() as client:
        for change in client.watch():
            told.append((change.happening.value, change.video.name))
            if len(told) == 2:
                cluster.refusals += [
                    refused(503, "", "not now"),
                    refused(429, "TooManyRequests", "too busy"),
                    refused(410, "Expired", "too old"),
                ]
                cluster.watches_to_cut = 1
                cluster.put("red", status={"phase": "Running"})
                cluster.drop("green")
            if len(told) == 4:
                break
        assert sorted(told[:2]) == [("ADDED", "green"), ("ADDED", "red")]
        assert sorted(told[2:]) == [("DELETED", "green"), ("MODIFIED", "red")]


def test_an_outage_has_an_end(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PAUSES_SECONDS", (0.0,) * 3)
    with Client(context="nowhere") as client, pytest.raises(Unreachable):
        next(client.watch())


def test_an_edit_that_the_operator_has_not_seen_is_not_finished(cluster: Cluster) -> None:
    cluster.put("red")
    cluster.succeed("red")
    cluster.put("red", spec={"prompt": "a blue circle"})
    with Client() as client:
        video = client.get("red")
        assert (video.phase, video.is_finished, video.has_succeeded) == ("Succeeded", False, False)


@pytest.mark.parametrize("name", ["", "..", "../red", "red/status", "red?dryRun=All", "Red", "a\n"])
def test_what_can_be_no_name_means_no_other_thing(cluster: Cluster, name: str) -> None:
    cluster.put("red")
    with Client() as client:
        for ask in (client.get, client.delete, client.cancel, client.retry, client.link):
            with pytest.raises(NotFound, match="nothing can be called"):
                ask(name)
        if name:
            with pytest.raises(NotFound):
                client.delete("red", namespace=name)
        assert [each.name for each in client.list()] == ["red"]


def test_a_download_is_whole_or_not_there(cluster: Cluster, tmp_path: Path) -> None:
    cluster.put("red")
    with Client() as client:
        with pytest.raises(NoVideo, match="red is Pending"):
            client.download("red", tmp_path)
        cluster.succeed("red", video={"sha256": "0" * 64})
        with pytest.raises(DownloadFailed, match="not the video that was made") as error:
            client.download("red", tmp_path / "videos")
        assert list((tmp_path / "videos").iterdir()) == []
        assert "do-not-tell" not in str(error.value)
        cluster.succeed("red")
        assert client.download("red", tmp_path / "mine.mp4").read_bytes() == MP4


def test_a_store_that_redirects_for_ever_does_not_tell_the_signature(tmp_path: Path) -> None:
    async def away(request: web.Request) -> web.Response:
        raise web.HTTPFound(str(request.url))

    async def go() -> None:
        app = web.Application()
        app.router.add_get("/a.mp4", away)
        async with TestServer(app) as server:
            url = str(server.make_url("/a.mp4?signature=do-not-tell"))
            await downloading.fetch(url, tmp_path / "a.mp4")

    with pytest.raises(Unreachable, match="TooManyRedirects") as error:
        asyncio.run(go())
    assert "do-not-tell" not in str(error.value)


@pytest.mark.parametrize("expiry", ["2020-01-01T00:00:00Z", None], ids=["known", "unknown"])
def test_a_link_that_ended_is_renewed(cluster: Cluster, tmp_path: Path, expiry: str | None) -> None:
    cluster.put("red")
    cluster.succeed("red", linkExpiryTime=expiry)
    cluster.expired_links = 0 if expiry else 1
    with Client() as client:
        assert client.download("red", tmp_path).read_bytes() == MP4
        assert client.get("red").url == f"{cluster.address}/files/red.mp4?signature=new"
        assert "signature=new" in client.link("red")


def test_the_annotation_is_the_operators() -> None:
    assert RENEW_LINKS_ANNOTATION == names.RENEW_LINKS_ANNOTATION


def test_the_latest_pods_log(cluster: Cluster) -> None:
    cluster.put("red", status={"jobName": "red-1"})
    cluster.objects[PODS] = {
        "items": [
            {"metadata": {"name": "young", "creationTimestamp": "2026-01-02T00:00:00Z"}},
            {"metadata": {"name": "old", "creationTimestamp": "2026-01-01T00:00:00Z"}},
        ]
    }
    cluster.objects[f"{PODS}/young/log"] = "one\ntwo"
    with Client() as client:
        assert list(client.logs("red")) == ["one", "two"]
        cluster.objects[PODS] = {"items": []}
        with pytest.raises(NoLog, match="ttlSecondsAfterFinished"):
            list(client.logs("red"))


def test_names_are_valid_whatever_the_prompt_says() -> None:
    for prompt in ("红色的圆", "A  Red\nCircle!", "x" * 4000, "-- --"):
        name = a_video(prompt, model="m")["metadata"]["name"]
        assert name.isascii()
        assert name[0].isalnum()
        assert len(name) < 63
