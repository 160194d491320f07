"""A watch lives through everything: pages, lost connections, silence, versions too old."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from t2v_operator.cluster import reflector
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, Kind
from t2v_operator.cluster.reflector import Reflector
from t2v_operator.cluster.store import Store
from t2v_operator.core.names import APPLIED_ANNOTATION
from t2v_operator.core.observe import observe_job

from tests.unit.observations import JOB_NAME, a_job_document


def an_object(name: str, version: int) -> dict[str, Any]:
    metadata = {"namespace": "films", "name": name, "resourceVersion": str(version)}
    return {"metadata": metadata}


def a_page(position: int, *names: str, more: str = "") -> dict[str, Any]:
    metadata = {"resourceVersion": str(position)} | ({"continue": more} if more else {})
    return {"metadata": metadata, "items": [an_object(name, position - 1) for name in names]}


def an_event(kind: str, name: str, version: int) -> dict[str, Any]:
    return {"type": kind, "object": an_object(name, version)}


TOO_OLD = {"type": "ERROR", "object": {"code": 410, "message": "too old resource version"}}
SILENT = TimeoutError()
GONE = ClusterError(410, "Expired", "too old resource version: 5 (9)")
AWAY = ClientConnectionError("the API server is away")


Answers = list[Any]


class Script:
    """A client that answers what is written; then it says nothing more, and the test ends."""

    def __init__(self, lists: Answers, watches: Answers) -> None:
        self._lists, self._watches = list(lists), list(watches)
        self.listed: list[dict[str, str]] = []
        self.watched: list[dict[str, str]] = []
        self.done = asyncio.Event()

    async def list(self, kind: Kind, namespace: str | None, **params: str) -> Any:
        self.listed.append(params)
        answer = await self._next(self._lists)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def watch(
        self, kind: Kind, namespace: str | None, silence_seconds: float, **params: str
    ) -> AsyncIterator[Any]:
        self.watched.append(params)
        for event in await self._next(self._watches):
            if isinstance(event, Exception):
                raise event
            yield event

    async def _next(self, answers: Answers) -> Any:
        if not answers:
            self.done.set()
            await asyncio.Event().wait()
        return answers.pop(0)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(reflector, "asyncio", SimpleNamespace(sleep=sleep, Event=asyncio.Event))
    return waited


def run(lists: list[Any], watches: list[Any]) -> tuple[Script, set[str], Reflector]:
    """Let a reflector go through the script. Returns the names that it knows at the end."""

    async def go() -> tuple[Script, set[str], Reflector]:
        script = Script(lists, watches)
        store: Store[str] = Store(lambda d: d["metadata"]["name"], lambda *_: None, lambda *_: None)
        tested = Reflector(script, JOBS, None, store, "textto.video/job")  # type: ignore[arg-type]
        task = asyncio.create_task(tested.run())
        async with asyncio.timeout(5):
            await script.done.wait()
        assert not task.done(), "it lives through everything"
        task.cancel()
        return script, {name for _, name in store.items()}, tested

    return asyncio.run(go())


def test_a_list_comes_in_pages_and_the_watch_begins_where_it_ended() -> None:
    script, known, tested = run([a_page(9, "a", more="token"), a_page(9, "b")], [])
    assert known == {"a", "b"}
    assert tested.is_full
    assert [each["limit"] for each in script.listed] == ["500", "500"]
    assert script.listed[-1]["continue"] == "token"
    assert {each["labelSelector"] for each in (*script.listed, *script.watched)} == {
        "textto.video/job"
    }
    assert script.watched[0]["resourceVersion"] == "9"
    assert script.watched[0]["allowWatchBookmarks"] == "true"


def test_it_is_not_full_before_the_last_page() -> None:
    _, _, tested = run([a_page(9, "a", more="token")], [])
    assert not tested.is_full


def test_events_are_taken_and_the_next_watch_goes_on_after_them() -> None:
    events = [an_event("ADDED", "b", 12), an_event("DELETED", "a", 13)]
    script, known, _ = run([a_page(9, "a")], [events])
    assert known == {"b"}
    assert [each["resourceVersion"] for each in script.watched] == ["9", "13"]
    assert len(script.listed) == 1


@pytest.mark.parametrize("fault", [AWAY, SILENT, ClusterError(500, "", "etcd is away")], ids=repr)
def test_a_watch_that_breaks_or_is_silent_goes_on_where_it_was(
    fault: Exception, pauses: list[float]
) -> None:
    script, known, _ = run(
        [a_page(9, "a")],
        [[an_event("ADDED", "b", 12), fault], [an_event("ADDED", "c", 14)]],
    )
    assert known == {"a", "b", "c"}
    assert [each["resourceVersion"] for each in script.watched] == ["9", "12", "14"]
    assert len(script.listed) == 1
    assert pauses, "not at once"


@pytest.mark.parametrize("too_old", [GONE, TOO_OLD], ids=["as a status", "as an event"])
def test_a_position_that_is_too_old_is_listed_anew_and_what_vanished_is_swept(
    too_old: Any,
) -> None:
    script, known, _ = run([a_page(9, "a", "b"), a_page(50, "b")], [[too_old]])
    assert known == {"b"}
    assert [each["resourceVersion"] for each in script.watched] == ["9", "50"]


def test_a_list_that_fails_begins_again_from_its_first_page() -> None:
    script, known, _ = run([a_page(9, "a", more="token"), GONE, a_page(20, "b")], [])
    assert known == {"b"}, "what came in by the first page and is no more is swept"
    assert "continue" not in script.listed[-1]


def test_an_api_server_that_stays_away_is_asked_ever_more_seldom(pauses: list[float]) -> None:
    run([AWAY] * 12, [])
    assert pauses[0] < 0.5
    assert 5 < pauses[-1] < 15
    assert len(pauses) == 12


def test_after_it_spoke_it_is_asked_soon_again(pauses: list[float]) -> None:
    run([AWAY] * 8 + [a_page(9)], [[an_event("ADDED", "a", 10), AWAY]])
    assert pauses[-1] < 0.5


def test_a_watch_that_ends_at_once_again_and_again_is_not_asked_for_without_pause(
    pauses: list[float],
) -> None:
    """A proxy before the API server may do so; without a pause it is a flood."""
    run([a_page(9)], [[]] * 20)
    assert len(pauses) >= 10


def test_it_tells_when_it_was_last_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(1000))
    monkeypatch.setattr(reflector, "time", SimpleNamespace(monotonic=lambda: float(next(now))))
    _, _, silent = run([a_page(9)], [])
    _, _, spoke = run([a_page(9)], [[an_event("ADDED", "a", 10)]])
    assert spoke.heard > silent.heard


def an_error(code: int, message: str = "in the API server's words") -> dict[str, Any]:
    return {"type": "ERROR", "object": {"code": code, "message": message}}


@pytest.mark.parametrize("code", [429, 500, 503])
def test_an_error_in_a_watch_that_is_not_about_its_age_lists_nothing_anew(
    code: int, pauses: list[float]
) -> None:
    """Of all that watch a busy API server, none may ask for everything once more."""
    script, known, _ = run(
        [a_page(9, "a")],
        [[an_event("ADDED", "b", 12), an_error(code)], [an_event("ADDED", "c", 14)]],
    )
    assert known == {"a", "b", "c"}
    assert len(script.listed) == 1
    assert [each["resourceVersion"] for each in script.watched] == ["9", "12", "14"]
    assert pauses, "not at once"


NOT_JSON = json.JSONDecodeError("Expecting value", "<html>", 0)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(NOT_JSON, id="HTML"),
        pytest.param({"kind": "Status"}, id="JSON of another form"),
        pytest.param([], id="no object"),
    ],
)
def test_what_answers_a_list_in_the_api_servers_place_ends_nothing(
    answer: Any, pauses: list[float]
) -> None:
    _, known, tested = run([answer, answer, a_page(9, "a")], [])
    assert known == {"a"}
    assert tested.is_full
    assert len(pauses) == 2


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(NOT_JSON, id="HTML"),
        pytest.param({"kind": "Status"}, id="JSON of another form"),
        pytest.param([], id="no object"),
    ],
)
def test_what_answers_a_watch_in_the_api_servers_place_ends_nothing(
    event: Any, pauses: list[float]
) -> None:
    script, known, _ = run([a_page(9, "a"), a_page(20, "b")], [[event]])
    assert known == {"b"}
    assert [each["resourceVersion"] for each in script.watched] == ["9", "20"]
    assert len(pauses) == 1


@pytest.mark.parametrize(
    "fault", [AWAY, NOT_JSON, TOO_OLD, an_error(429), GONE], ids=lambda each: str(each)[:40]
)
def test_lists_that_succeed_while_each_watch_fails_are_asked_for_ever_more_seldom(
    fault: Any, pauses: list[float]
) -> None:
    run([a_page(9, "a")] * 10, [[fault]] * 9)
    assert len(pauses) == 9
    assert pauses[0] < 0.5
    assert 5 < pauses[-1] < 15


def strange(**parts: Any) -> dict[str, Any]:
    document = a_job_document()
    document["metadata"]["resourceVersion"] = "11"
    return document | parts


def with_brackets(count: int) -> dict[str, Any]:
    document = strange()
    document["metadata"]["annotations"][APPLIED_ANNOTATION] = "[" * count
    return document


def a_job_event(name: str, version: int) -> dict[str, Any]:
    document = a_job_document()
    document["metadata"] |= {"name": name, "resourceVersion": str(version)}
    return {"type": "ADDED", "object": document}


def jobs_after(lists: Answers, watches: Answers) -> tuple[Script, dict[str, Any]]:
    """What a store of Jobs holds at the end of the script."""

    async def go() -> tuple[Script, dict[str, Any]]:
        script = Script(lists, watches)
        store: Store[Any] = Store(observe_job, lambda *_: None, lambda *_: None)
        tested = Reflector(script, JOBS, None, store)  # type: ignore[arg-type]
        task = asyncio.create_task(tested.run())
        async with asyncio.timeout(5):
            await script.done.wait()
        task.cancel()
        return script, {key[1]: job for key, job in store.items()}

    return asyncio.run(go())


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(strange(spec=None), id="no spec"),
        pytest.param(strange(status="Running"), id="a status of another form"),
        pytest.param(strange(status={"conditions": [{}]}), id="conditions of another form"),
    ],
)
def test_an_object_that_cannot_be_read_ends_no_watch_and_comes_when_it_is_mended(
    document: dict[str, Any],
) -> None:
    added = {"type": "ADDED", "object": document}
    page = {"metadata": {"resourceVersion": "11"}, "items": [document]}
    others = [a_job_event("other", 12)]
    mended = [a_job_event(JOB_NAME, 13)]
    for lists, watches in (([a_page(9)], [[added, *others]]), ([page], [others])):
        script, jobs = jobs_after(lists, watches)
        assert set(jobs) == {"other"}
        assert len(script.listed) == 1, "and the watch goes on"
        _, jobs = jobs_after(lists, [[*watches[0], *mended]])
        assert set(jobs) == {"other", JOB_NAME}


def test_a_job_with_a_note_of_a_hundred_thousand_brackets_is_one_without_a_note() -> None:
    added = {"type": "ADDED", "object": with_brackets(100_000)}
    script, jobs = jobs_after([a_page(9)], [[added, a_job_event("other", 12)]])
    assert set(jobs) == {"other", JOB_NAME}
    assert jobs[JOB_NAME].applied == {}
    assert len(script.listed) == 1


def caught_up(position: int, watches: Answers) -> tuple[Script, set[str], int]:
    """What a store at 9 knows after it was to reach `position`, and where it is."""

    async def go() -> tuple[Script, set[str], int]:
        script = Script([], watches)
        store: Store[str] = Store(lambda d: d["metadata"]["name"], lambda *_: None, lambda *_: None)
        page = a_page(9, "a")
        store.sweep(store.page(page["items"], 9, None), 9, None)
        tested = Reflector(script, JOBS, None, store, "textto.video/job")  # type: ignore[arg-type]
        async with asyncio.timeout(5):
            await tested.catch_up(position)
        return script, {name for _, name in store.items()}, store.position("films")

    return asyncio.run(go())


def a_bookmark(version: int) -> dict[str, Any]:
    return {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(version)}}}


def test_a_store_of_which_nothing_happens_reaches_a_position_by_a_short_watch() -> None:
    script, known, position = caught_up(20, [[an_event("ADDED", "b", 12), a_bookmark(25)]])
    assert (known, position) == ({"a", "b"}, 25)
    (asked,) = script.watched
    assert asked["resourceVersion"] == "9"
    assert asked["allowWatchBookmarks"] == "true"
    assert asked["labelSelector"] == "textto.video/job"
    assert int(asked["timeoutSeconds"]) <= 5


def test_a_store_that_is_there_already_asks_nothing() -> None:
    script, _, _ = caught_up(9, [])
    assert script.watched == []


def test_a_short_watch_that_did_not_reach_it_brings_the_store_nearer() -> None:
    script, _, position = caught_up(20, [[a_bookmark(15)]])
    assert position == 15
    assert [each["resourceVersion"] for each in script.watched] == ["9"]
