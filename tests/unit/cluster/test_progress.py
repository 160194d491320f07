"""Logs are followed of some pods at a time, and what they say goes on to the right resource."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from t2v_api.progress import Progress, Stage
from t2v_operator.cluster import progress
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import Kind
from t2v_operator.cluster.progress import MOST_FOLLOWED, ProgressReader

from tests.unit.observations import at

Key = tuple[str, str]


def said(stage: Stage = Stage.DENOISE, step: int = 1) -> bytes:
    told = Progress(stage=stage, step=step, steps=25, percent=step, updated_time=at(step))
    return told.json_line().encode()


class Logs:
    """Logs that say what is written for their pod, and then nothing for ever."""

    def __init__(self, texts: Mapping[str, list[Any]] | None = None) -> None:
        self._texts = texts or {}
        self.open: set[str] = set()
        self.opened: list[str] = []
        self.most = 0
        self.running: dict[Key, Key] = {}
        self.reports: list[tuple[Key, str, Progress]] = []

    def run(self, *pods: str) -> None:
        self.running = {("films", pod): ("films", f"resource-of-{pod}") for pod in pods}

    async def lines(
        self, kind: Kind, namespace: str, path: str, params: Mapping[str, str]
    ) -> AsyncIterator[bytes]:
        pod = path.removesuffix("/log")
        self.open.add(pod)
        self.opened.append(pod)
        self.most = max(self.most, len(self.open))
        try:
            for line in self._texts.get(pod, ()):
                if isinstance(line, Exception):
                    raise line
                yield line
            await asyncio.Event().wait()
        finally:
            self.open.discard(pod)

    def until(self, *steps: tuple[Callable[[], None], Callable[[], bool]]) -> None:
        """Do each step, and wait until what it should come to is true."""

        async def go() -> None:
            client: Any = self
            reader = ProgressReader(
                client, lambda: self.running, lambda *report: self.reports.append(report)
            )
            task = asyncio.create_task(reader.run())
            for do, is_done in steps:
                do()
                async with asyncio.timeout(5):
                    while not is_done():
                        await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(go())


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(progress, "FIRST_RETRY_SECONDS", 0.001)


def test_no_more_logs_are_followed_than_is_set_and_another_begins_when_one_ends() -> None:
    logs = Logs()
    pods = [f"pod-{number:03}" for number in range(MOST_FOLLOWED + 20)]
    logs.until(
        (lambda: logs.run(*pods), lambda: len(logs.open) == MOST_FOLLOWED),
        (lambda: logs.run(*pods[1:]), lambda: len(logs.opened) == MOST_FOLLOWED + 1),
    )
    assert logs.most == MOST_FOLLOWED
    assert "pod-000" in logs.opened
    assert len(set(logs.opened)) == MOST_FOLLOWED + 1, "none is opened twice"


def test_a_log_whose_reading_failed_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MOST_FOLLOWED", 1)
    logs = Logs({"z": [RuntimeError("what nobody thought of")]})
    logs.until(
        (lambda: logs.run("z"), lambda: "z" in logs.opened),
        (lambda: logs.run("a", "z"), lambda: logs.open == {"a"}),
    )


def test_a_log_that_cannot_be_read_is_tried_again() -> None:
    logs = Logs({"a": [ClusterError(500, "", "the kubelet does not answer")]})
    logs.until((lambda: logs.run("a"), lambda: logs.opened.count("a") >= 3))


def test_no_log_is_followed_any_more_when_its_reader_ends() -> None:
    logs = Logs()
    logs.until((lambda: logs.run("a", "b"), lambda: logs.open == {"a", "b"}))
    assert logs.open == set()


def test_a_report_names_the_resource_and_the_pod() -> None:
    logs = Logs({"a": [b"loading...", b'{"some": "other json"}', said(step=3)]})
    logs.until((lambda: logs.run("a"), lambda: bool(logs.reports)))
    ((resource, pod, told),) = logs.reports
    assert (resource, pod, told.step) == (("films", "resource-of-a"), "a", 3)


def test_a_new_stage_passes_at_once_and_more_of_the_same_once_a_second() -> None:
    texts = [said(Stage.DENOISE, step) for step in range(1, 26)]
    logs = Logs({"a": [said(Stage.LOAD), *texts, said(Stage.DECODE)]})
    logs.until((lambda: logs.run("a"), lambda: len(logs.reports) >= 3))
    assert [told.stage for _, _, told in logs.reports] == [Stage.LOAD, Stage.DENOISE, Stage.DECODE]
