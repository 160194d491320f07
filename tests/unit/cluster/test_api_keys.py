"""The keys as a watch tells them: found by their text, gone with their Secret."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from t2v_api.api_key import digest_of
from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.cluster.reflector import FIRST_PAUSE_SECONDS

from tests.unit.api_keys import ID, SYSTEM, TEXT, a_key, a_key_secret
from tests.unit.cluster.api_server import ApiServer

OTHER_TEXT = f"t2v_{ID}_{'x' * 43}"


class World:
    """A namespace with Secrets, and what is known of its keys."""

    def __init__(self) -> None:
        self.server = ApiServer()
        self.news: list[str] = []
        client: Any = self.server
        self.keys = ApiKeys(client, SYSTEM, self.news.append)

    def has(self, secret: dict[str, Any]) -> None:
        self.server.put(SECRETS, secret)
        self.hears()

    def loses(self, name: str) -> None:
        del self.server.objects[SECRETS, SYSTEM, name]
        self.server.version += 1
        self.hears()

    def hears(self) -> None:
        """A list, as a broken watch begins with."""
        asyncio.run(self.keys.reflectors[0]._list())


@pytest.fixture
def world() -> World:
    return World()


def test_a_key_is_found_by_its_text_and_by_its_id(world: World) -> None:
    world.has(a_key_secret())
    assert world.keys.find(TEXT) == world.keys.by_id(ID) == a_key()
    assert world.news == [ID]


def test_a_fingerprint_tells_a_key_from_the_one_that_replaces_it(world: World) -> None:
    assert world.keys.fingerprint(ID) == ""
    world.has(a_key_secret())
    assert world.keys.fingerprint(ID) == digest_of(TEXT)[:16]
    world.has(a_key_secret(text=OTHER_TEXT))
    assert world.keys.fingerprint(ID) == digest_of(OTHER_TEXT)[:16]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(OTHER_TEXT, id="right id, wrong rest"),
        pytest.param(f"t2v_ba9876543210_{'k' * 43}", id="another id"),
        pytest.param("", id="nothing"),
        pytest.param(f"{TEXT} ", id="a space after it"),
        pytest.param("é" * 60, id="no ASCII"),
    ],
)
def test_what_is_no_key_opens_nothing(world: World, text: str) -> None:
    world.has(a_key_secret())
    assert world.keys.find(text) is None
    assert asyncio.run(world.keys.find_now(text)) is None


def test_a_deleted_secret_revokes_at_once(world: World) -> None:
    world.has(a_key_secret())
    world.loses(f"api-key-{ID}")
    assert world.keys.find(TEXT) is None
    assert world.keys.by_id(ID) is None
    assert world.news == [ID, ID]


def test_so_does_one_that_a_finalizer_keeps(world: World) -> None:
    world.has(a_key_secret())
    going = a_key_secret()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    world.has(going)
    assert world.keys.find(TEXT) is None
    assert asyncio.run(world.keys.by_id_now(ID)) is None
    assert world.news == [ID, ID]


def test_a_changed_key_is_the_new_one(world: World) -> None:
    world.has(a_key_secret())
    world.has(a_key_secret(pools=["slow"]))
    found = world.keys.find(TEXT)
    assert found
    assert found.pools == ("slow",)
    world.has(a_key_secret(text=OTHER_TEXT))
    assert world.keys.find(TEXT) is None


def test_a_damaged_secret_opens_nothing_and_is_told_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.has(a_key_secret())
    secret = a_key_secret()
    secret["data"]["key.json"] = "dDJ2XzAxMjM0NTY3ODlhYl9r"
    with caplog.at_level(logging.WARNING, "t2v_operator"):
        world.has(secret)
        world.has(secret)
    assert world.keys.find(TEXT) is None
    assert world.news == [ID, ID]
    (line,) = caplog.messages
    assert "api-key-0123456789ab keeps no API key: key.json" in line
    assert "t2v_0123" not in line


def test_two_secrets_of_one_id_that_contradict_are_nobodys(world: World) -> None:
    world.has(a_key_secret())
    world.has(a_key_secret(name="copy"))
    assert world.keys.by_id(ID) == a_key(), "under two names, while it is renamed"
    world.has(a_key_secret(text=OTHER_TEXT, name="forged", pools=["other"]))
    assert world.keys.by_id(ID) is None
    assert world.keys.find(TEXT) == a_key(), "who shows the key shows which one is meant"
    world.loses("forged")
    assert world.keys.by_id(ID) == a_key()


def test_what_the_watch_does_not_know_yet_the_api_server_tells(world: World) -> None:
    world.server.put(SECRETS, a_key_secret())
    assert world.keys.find(TEXT) is None
    assert asyncio.run(world.keys.find_now(TEXT)) == a_key()
    assert asyncio.run(world.keys.by_id_now(ID)) == a_key()
    assert asyncio.run(world.keys.by_id_now("ba9876543210")) is None


def test_secrets_without_the_label_and_of_other_namespaces_are_not_asked_for(
    world: World,
) -> None:
    unlabelled, elsewhere = a_key_secret(), a_key_secret()
    del unlabelled["metadata"]["labels"]
    elsewhere["metadata"]["namespace"] = "team-a"
    world.has(unlabelled)
    world.has(elsewhere)
    assert world.keys.by_id(ID) is None


def test_it_runs_by_itself_until_cancelled() -> None:
    """All that a gateway needs: a client, a namespace, `run` and `wait_until_full`."""

    class Silent(ApiServer):
        async def watch(self, *_: Any, **__: Any) -> Any:
            await asyncio.Event().wait()
            yield {}

    async def use() -> Any:
        server: Any = Silent()
        server.put(SECRETS, a_key_secret())
        keys = ApiKeys(server, SYSTEM)
        running = asyncio.create_task(keys.run())
        await keys.wait_until_full()
        running.cancel()
        return keys.find(TEXT)

    assert asyncio.run(use()) == a_key()


def test_a_revoked_key_is_refused_within_ten_seconds_though_the_watch_died_silently() -> None:
    """The API server ends each watch earlier than silence lasts."""
    asked: list[tuple[float, int]] = []

    class Dead(ApiServer):
        async def list(self, *_: Any, **__: Any) -> Any:
            return {"metadata": {"resourceVersion": "1"}, "items": []}

        async def watch(self, *words: Any, **params: str) -> AsyncIterator[Any]:
            asked.append((words[2], int(params["timeoutSeconds"])))
            if len(asked) == 2:
                await asyncio.Event().wait()
            raise TimeoutError
            yield {}

    async def go() -> None:
        client: Any = Dead()
        task = asyncio.create_task(ApiKeys(client, SYSTEM).run())
        while len(asked) < 2:
            await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(go())
    pause = FIRST_PAUSE_SECONDS * 2
    assert all(lasts < silence and silence + pause < 10 for silence, lasts in asked)
