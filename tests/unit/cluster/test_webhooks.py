"""Webhooks, sent to a real receiver on this machine and verified by another's library."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError
from t2v_api.web_address import AllowedAddresses
from t2v_operator.cluster import webhooks as webhooks_module
from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.cluster.webhooks import WebhookSender
from t2v_operator.delivery.public_http import PublicClient
from t2v_operator.delivery.webhooks import (
    FIRST_PAUSE,
    GIVE_UP,
    LONGEST_WISH,
    Answer,
    WebhookSecretInvalid,
    WebhookSecrets,
    after,
    message_id,
)

from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import (
    a_record_of,
    a_resource_document,
    a_status,
    at,
    running,
    succeeded,
)

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "QUFB" * 8
LOOPBACK = AllowedAddresses(ranges=("127.0.0.0/8",))
KEY = ("default", "red-circle")


@dataclass
class Receiver:
    """Answers with these, the last one for ever; notes what it got."""

    answers: list[Any] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""
    hangs: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Receiver"]:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._take)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook?token=hunter2"
        try:
            yield self
        finally:
            self.hangs.set()
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer == "hang":
            await self.hangs.wait()
            answer = 503
        self.got.append((dict(request.headers), body))
        code, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=code, headers=headers)


class World:
    """A cluster with resources whose webhook is to be sent."""

    def __init__(self) -> None:
        # Whoever verifies compares with the clock.
        self.now = (datetime.now(UTC) - at(0)).total_seconds()
        self.server = ApiServer(self._time)
        client: Any = self.server
        self.cache = Cache(client, (), with_workloads=False, news=lambda *_, **__: None)
        self.ended: list[Any] = []
        self.tried: list[Any] = []
        self.sender = self.started()

    def started(self, secrets: WebhookSecrets | None = None) -> WebhookSender:
        """The sender of another process."""
        client: Any = self.server

        async def read() -> WebhookSecrets:
            return secrets or WebhookSecrets.read({"current": SECRET.encode()})

        public = PublicClient(LOOPBACK)
        return WebhookSender(
            client,
            self.cache,
            public,
            read,
            self._time,
            self.ended.append,
            lambda _, status: self.tried.append(status.webhook),
        )

    def _time(self) -> datetime:
        return at(self.now)

    def has(self, url: str, status: Any = None, **spec: Any) -> None:
        status = status or succeeded()
        is_refused = any(each.reason == "WebhookRefused" for each in status.conditions)
        record = a_record_of(status) if status.completion_time and not is_refused else None
        document = a_resource_document(spec={"webhook": url, **spec}, status=status, record=record)
        self.server.put(RESOURCES, document)
        self.hears()

    def hears(self) -> None:
        store = self.cache.stores[RESOURCES]
        documents = self.server.all_of(RESOURCES)
        store.sweep(store.page(documents, self.server.version, None), self.server.version, None)

    @property
    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.server.objects[RESOURCES, *KEY]["status"]
        return found

    @property
    def condition(self) -> dict[str, Any]:
        found = {each["type"]: each for each in self.status["conditions"]}
        told: dict[str, Any] = found.get("WebhookDelivered", {})
        return told

    async def work(self) -> float | None:
        """One attempt, as the sender's worker makes it."""
        return await self.sender._work(KEY)


def run(test: Callable[[World, Receiver], Any]) -> None:
    async def go() -> None:
        async with Receiver().open() as receiver:
            await test(World(), receiver)

    asyncio.run(go())


def verified(receiver: Receiver, secret: str = SECRET) -> Any:
    """The last body, if its signature and time are right."""
    headers, body = receiver.got[-1]
    return Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})


def test_a_finished_video_is_told_in_the_endpoints_words() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url, trackId="order 7 “é”")
        assert await world.work() is None
        told = verified(receiver)
        status = succeeded()
        assert (told["status"], told["id"], told["track_id"]) == (
            "success",
            status.id,
            "order 7 “é”",
        )
        assert told["output"] == list(status.output)
        assert told["generationTime"] == status.generation_time
        assert status.resolved
        assert told["meta"]["seed"] == status.resolved.seed
        assert world.condition["status"] == "True"
        assert world.status["webhook"]["attempts"] == 1
        assert "deliveredTime" in world.status["webhook"]
        assert world.status["phase"] == "Succeeded"
        assert world.status["conditions"][0]["type"] == "Ready"
        assert "hunter2" not in json.dumps(world.status)

    run(test)


def test_a_failure_is_told_with_its_message() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        failed = a_status(spec={"modelId": "no-such-model"})
        world.has(receiver.url, status=failed, modelId="no-such-model")
        await world.work()
        told = verified(receiver)
        assert set(told) == {"status", "id", "message", "track_id"}
        assert (told["status"], told["track_id"]) == ("failed", None)
        assert "no-such-model" in told["message"]

    run(test)


def test_what_is_told_once_is_not_told_again_by_anyone() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        await world.work()
        world.hears()
        world.sender = world.started()
        world.sender.consider(KEY)
        assert world.sender._queue.depth == 0
        assert await world.work() is None
        assert len(receiver.got) == 1
        assert world.ended == [KEY]

    run(test)


def test_a_video_that_is_still_made_tells_nobody() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url, status=running())
        world.sender.consider(KEY)
        assert world.sender._queue.depth == 0
        assert await world.work() is None
        assert receiver.got == []

    run(test)


@pytest.mark.parametrize(
    "answer", [500, 503, 429, 404, 302, (301, {"Location": "http://10.0.0.1/"})]
)
def test_any_other_answer_is_tried_again_with_the_same_id(answer: Any) -> None:
    async def test(world: World, receiver: Receiver) -> None:
        receiver.answers = [answer, 200]
        world.has(receiver.url)
        left = await world.work()
        assert left is not None
        assert 3.9 <= left <= 6.1
        assert world.condition["reason"] == "NotDeliveredYet"
        assert world.status["webhook"]["lastStatusCode"] == (
            answer[0] if isinstance(answer, tuple) else answer
        )
        assert await world.work() == pytest.approx(left, abs=1), "not sooner, whoever asks"
        world.now += left
        assert await world.work() is None
        first, second = ({k.lower(): v for k, v in h.items()} for h, _ in receiver.got)
        assert first["webhook-id"] == second["webhook-id"]
        assert world.condition["status"] == "True"

    run(test)


def test_a_receiver_says_when_it_wants_to_hear_again() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        receiver.answers = [(429, {"Retry-After": "1800"}), 200]
        world.has(receiver.url)
        assert await world.work() == pytest.approx(1800, abs=1)
        world.sender = world.started()
        world.hears()
        assert await world.work() == pytest.approx(1800, abs=1), "known after a failover"

    run(test)


def test_a_refused_connection_and_a_receiver_that_hangs_are_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks_module, "ANSWER_SECONDS", 0.2)

    async def test(world: World, receiver: Receiver) -> None:
        world.has("http://127.0.0.1:1/")
        assert await world.work()
        assert "lastStatusCode" not in world.status["webhook"]
        receiver.answers = ["hang"]
        world.has(receiver.url)
        assert await world.work()
        assert world.status["webhook"]["attempts"] == 1, "another URL begins anew"

    run(test)


def test_a_webhook_that_leads_inside_by_its_name_goes_nowhere() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url.replace("127.0.0.1", "localhost"))
        world.sender._public = PublicClient(AllowedAddresses())
        assert await world.work()
        assert receiver.got == []

    run(test)


def test_death_between_delivery_and_its_record_tells_it_twice_with_one_id() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        world.server.refusals["update", "texttovideojobs"] = ClusterError(500, "", "down")
        with pytest.raises(ClusterError):
            await world.work()
        world.sender = world.started()  # what was not written down died with the other
        assert await world.work() is None
        ids = {headers.get("webhook-id") for headers, _ in receiver.got}
        assert (len(receiver.got), len(ids)) == (2, 1)

    run(test)


def test_what_changes_the_status_meanwhile_does_not_send_it_twice() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        world.server.refusals["update", "texttovideojobs"] = ClusterError(409, "Conflict", "")
        assert await world.work() is None
        assert len(receiver.got) == 1
        assert world.condition["status"] == "True"

    run(test)


def test_another_url_is_told_once_more() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        await world.work()
        document = world.server.objects[RESOURCES, *KEY]
        document["spec"]["webhook"] = receiver.url + "&again"
        world.server.put(RESOURCES, document)
        world.hears()
        world.sender.consider(KEY)
        assert world.sender._queue.depth == 1
        await world.work()
        await world.work()
        assert len(receiver.got) == 2
        ids = {headers.get("webhook-id") for headers, _ in receiver.got}
        assert len(ids) == 2

    run(test)


def test_two_hundred_are_told_though_one_receiver_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World, receiver: Receiver) -> None:
        async with Receiver().open() as dead:
            dead.answers = ["hang"]
            for number in range(200):
                url = dead.url if number % 2 else f"{receiver.url}&{number}"
                document = a_resource_document(spec={"webhook": url}, status=succeeded())
                document["metadata"] |= {"name": f"video-{number}", "uid": f"uid-{number}"}
                world.server.put(RESOURCES, document)
            world.hears()
            for key in world.cache.resource_keys():
                world.sender.consider(key)
            sending = asyncio.create_task(world.sender.run())
            living = webhooks_module._receiver(receiver.url)
            async with asyncio.timeout(5):
                while len(receiver.got) < 100 or living in world.sender._under_way:
                    await asyncio.sleep(0.02)
            most = webhooks_module.MOST_AT_ONE_RECEIVER
            assert set(world.sender._under_way.values()) == {most}
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    run(test)


def test_after_a_day_it_is_given_up_and_a_receiver_that_is_gone_is_believed() -> None:
    url = "https://example.com/"
    state = after(url, None, Answer(500), at(0), 0.5)
    assert state.next_attempt_time == at(0) + FIRST_PAUSE
    later = after(url, state, Answer(None), at(0) + GIVE_UP, 0.5)
    assert later.given_up_time == at(0) + GIVE_UP
    assert later.next_attempt_time is None
    assert after(url, None, Answer(410), at(0), 0.5).given_up_time == at(0)


def test_pauses_grow_and_no_wish_is_longer_than_half_a_day() -> None:
    state, pauses = None, []
    for _ in range(15):
        state = after("https://example.com/", state, Answer(500), at(0), 0.5)
        assert state.next_attempt_time
        pauses.append((state.next_attempt_time - at(0)).total_seconds())
    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 7200
    wish = after("https://example.com/", None, Answer(429, timedelta(days=9)), at(0), 0.5)
    assert wish.next_attempt_time == at(0) + LONGEST_WISH


def test_while_secrets_are_changed_both_of_them_verify() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        both = {"current": SECRET.encode(), "previous": OTHER.encode() + b"\n"}
        world.sender = world.started(WebhookSecrets.read(both))
        world.has(receiver.url)
        await world.work()
        assert verified(receiver, SECRET) == verified(receiver, OTHER)
        with pytest.raises(WebhookVerificationError):
            verified(receiver, "whsec_" + "QkJC" * 8)

    run(test)


def test_a_secret_that_is_none_is_told_without_being_shown() -> None:
    with pytest.raises(WebhookSecretInvalid) as error:
        WebhookSecrets.read({"current": b"hunter2!"})
    assert "hunter2" not in str(error.value)


def test_an_id_hangs_on_the_request_and_the_url() -> None:
    status = succeeded()
    other = status.model_copy(update={"request_hash": "other"})
    later = status.model_copy(update={"completion_time": at(9999)})
    ends = (("u", status, "a"), ("u", status, "b"), ("u", other, "a"), ("u", later, "a"))
    ids = {message_id(*each) for each in ends}
    assert len(ids) == 4, "an edit there and back makes another end"


def test_while_statuses_cannot_be_written_it_is_sent_once_alone() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        for _ in range(5):
            world.server.refusals["update", "texttovideojobs"] = ClusterError(500, "", "full")
            with pytest.raises(ClusterError):
                await world.work()
        assert await world.work() is None
        assert len(receiver.got) == 1
        assert world.condition["status"] == "True"

    run(test)


def test_news_of_what_is_held_does_not_break_the_chain(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World, receiver: Receiver) -> None:
        for number in range(60):
            document = a_resource_document(spec={"webhook": receiver.url}, status=succeeded())
            document["metadata"] |= {"name": f"video-{number}", "uid": f"uid-{number}"}
            world.server.put(RESOURCES, document)
        world.hears()
        sending = asyncio.create_task(world.sender.run())
        async with asyncio.timeout(10):
            while len(receiver.got) < 60:
                for key in world.cache.resource_keys():
                    world.sender.consider(key)
                await asyncio.sleep(0.001)
            while world.sender._held or world.sender._under_way:
                await asyncio.sleep(0.01)
        assert len(receiver.got) == 60
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)

    run(test)


def test_one_tenants_many_receivers_hold_up_nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(world: World, receiver: Receiver) -> None:
        async with Receiver().open() as dead:
            dead.answers = ["hang"]
            port = dead.url.split(":")[2].partition("/")[0]
            for number in range(150):
                url = f"http://127.0.1.{number + 1}:{port}/" if number else receiver.url
                document = a_resource_document(spec={"webhook": url}, status=succeeded())
                space = "tenant" if number else "another"
                document["metadata"] |= {"name": f"v-{number}", "uid": f"u-{number}"}
                document["metadata"]["namespace"] = space
                world.server.put(RESOURCES, document)
            world.hears()
            monkeypatch.setattr(webhooks_module, "MOST_AT_ONE_RECEIVER", 1000)
            keys = sorted(world.cache.resource_keys(), reverse=True)
            for key in keys:
                world.sender.consider(key)
            sending = asyncio.create_task(world.sender.run())
            async with asyncio.timeout(5):
                while not receiver.got:
                    await asyncio.sleep(0.01)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    run(test)


@pytest.mark.parametrize(
    "wish", ["Wed, 01 Jan 99999999999999999999 00:00:00 GMT", "soon", "1e9", "9" * 400, "-5"]
)
def test_a_retry_after_that_is_none_does_no_harm(wish: str) -> None:
    async def test(world: World, receiver: Receiver) -> None:
        receiver.answers = [(503, {"Retry-After": wish}), (200, {"Retry-After": wish})]
        world.has(receiver.url)
        left = await world.work()
        assert left is not None
        world.now += left
        assert await world.work() is None
        assert world.status["webhook"]["attempts"] == 2

    run(test)


def test_an_older_crd_that_drops_the_urls_hash_does_not_tell_it_for_ever() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        world.has(receiver.url)
        await world.work()
        document = world.server.objects[RESOURCES, *KEY]
        del document["status"]["webhook"]["urlHash"]
        world.server.put(RESOURCES, document)
        world.hears()
        assert await world.work() is None
        assert len(receiver.got) == 1

    run(test)


def test_a_url_that_was_refused_is_not_tried() -> None:
    async def test(world: World, receiver: Receiver) -> None:
        url = "http://169.254.169.254/"
        refused = a_status(spec={"webhook": url})
        world.has(url, status=refused)
        assert refused.conditions[0].reason == "WebhookRefused"
        world.sender.consider(KEY)
        assert world.sender._queue.depth == 0

    run(test)


def test_each_attempt_is_told_when_it_is_written_down() -> None:
    async def go(world: World, receiver: Receiver) -> None:
        receiver.answers = [503, 204]
        world.has(receiver.url)
        await world.work()
        world.now += FIRST_PAUSE.total_seconds() * 2
        await world.work()
        assert [told.attempts for told in world.tried] == [1, 2]
        assert [told.delivered_time is not None for told in world.tried] == [False, True]

    run(go)


def test_what_is_to_be_delivered_is_the_backlog_also_between_two_attempts() -> None:
    async def go(world: World, receiver: Receiver) -> None:
        receiver.answers = [503]
        world.has(receiver.url)
        assert world.sender.backlog == 0
        world.sender.consider(KEY)
        assert world.sender.backlog == 1
        worker = asyncio.create_task(world.sender.run())
        async with asyncio.timeout(20):
            while not world.tried:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0)
        assert world.sender.backlog == 1
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)

    run(go)
