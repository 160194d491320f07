"""Prompts that a real endpoint on this machine enhances: asked once, told, kept, never leaked."""

import asyncio
import base64
import itertools
import json
import logging
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.enhancing import (
    AT_A_TIME,
    FAULT_SECONDS,
    FAULTS_IN_A_ROW,
    OF_ONE_NAMESPACE,
    PAUSE_SECONDS,
)
from t2v_operator.cluster.kinds import JOBS, RESOURCES, SECRETS
from t2v_operator.cluster.reporting import outgoing_session
from t2v_operator.cluster.secrets import endpoint_key
from t2v_operator.config import OwnSecretKey
from t2v_operator.core.enhance import QUALITY_TERMS
from t2v_operator.core.enhancing import Answer, Question
from t2v_operator.delivery.prompt_endpoint import Endpoint, NoAnswer

from tests.unit.builders import a_config_that_asks, a_config_with_a_store, a_job
from tests.unit.cluster.test_reconcile import KEY, World
from tests.unit.cluster.test_reuse import FakeStore, another, status_of
from tests.unit.language_model import KEY as API_KEY
from tests.unit.language_model import LanguageModel

OTHER = ("default", "the-other")
SECRET = OwnSecretKey(name="llm")
BETTER = "A large red circle on a white wall"
BY_RULES = ", ".join(["a red circle", *QUALITY_TERMS])
Story = Callable[[World], Awaitable[None]]


@pytest.fixture(autouse=True)
def no_status_waits_for_news_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    times = itertools.count(1000, 100)
    monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: next(times)))


def played(
    model: LanguageModel, story: Story, store: FakeStore | None = None, secret: str = API_KEY
) -> World:
    """What `story` makes of an operator that asks this endpoint."""

    async def play() -> World:
        async with model.open(), outgoing_session() as session:
            config = a_config_that_asks(url=model.url, timeoutSeconds=1)
            if store:
                document = config.document() | {
                    name: value
                    for name, value in a_config_with_a_store().document().items()
                    if name in ("storage", "reportServer")
                }
                config = type(config).parse(document)
            assert config.prompt_enhancement

            async def key() -> str:
                client: Any = world.server
                return await endpoint_key(client, "t2v-system", SECRET)

            endpoint = Endpoint(config.prompt_enhancement, session, key, pauses_seconds=(0, 0))
            world = World(config, store, endpoint.ask)
            world.server.put(SECRETS, a_secret(secret))
            await with_the_answers(world, story)
            return world

    return asyncio.run(play())


async def with_the_answers(world: World, story: Story) -> None:
    asking = asyncio.create_task(world.enhancing.run())
    try:
        await story(world)
    finally:
        asking.cancel()


def a_secret(key: str) -> dict[str, Any]:
    metadata = {"name": SECRET.name, "namespace": "t2v-system"}
    return {"metadata": metadata, "data": {"key": base64.b64encode(key.encode()).decode()}}


async def heard(world: World, *keys: Any) -> None:
    """Until the operator is told to look at these again; then it does."""
    async with asyncio.timeout(10):
        while not set(keys) <= set(world.look_again):
            await asyncio.sleep(0.001)
    for key in keys:
        world.look_again.remove(key)
        await world.reconciler.reconcile(key)
    world.hears()


async def asks_and_is_answered(world: World) -> None:
    world.has(spec={"seed": 7})
    await world.reconciler.reconcile(KEY)
    await heard(world, KEY)


def made_by(world: World) -> list[dict[str, Any]]:
    return world.server.all_of(JOBS)


def prompt_of(job: dict[str, Any]) -> str:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (text,) = (each["value"] for each in container["env"] if each["name"] == "T2V_REQUEST")
    prompt: str = json.loads(text)["prompt"]
    return prompt


def test_the_status_says_that_it_waits_and_then_the_job_draws_the_answer() -> None:
    async def story(world: World) -> None:
        world.has(spec={"seed": 7})
        await world.reconciler.reconcile(KEY)
        (ready, *_) = status_of(world, KEY[1])["conditions"]
        assert ready["reason"] == "EnhancingPrompt"
        assert not made_by(world)
        await heard(world, KEY)

    world = played(LanguageModel([BETTER]), story)
    (job,) = made_by(world)
    assert prompt_of(job) == BETTER
    world.looks()
    assert status_of(world, KEY[1])["resolved"]["prompt"] == BETTER


def test_the_same_request_twice_asks_once() -> None:
    async def story(world: World) -> None:
        world.has(spec={"seed": 7})
        world.server.put(RESOURCES, another(spec={"seed": 8}))
        world.hears()
        await asyncio.gather(*map(world.reconciler.reconcile, (KEY, OTHER)))
        await heard(world, KEY, OTHER)

    model = LanguageModel([BETTER, "Another"])
    world = played(model, story)
    assert [prompt_of(job) for job in made_by(world)] == [BETTER, BETTER]
    assert len(model.asked) == 1


def test_a_later_operator_takes_the_answer_of_an_earlier_one_and_with_it_the_video() -> None:
    store = FakeStore()
    model = LanguageModel([BETTER, "Another"])
    first = played(model, asks_and_is_answered, store)
    (job,) = made_by(first)
    folder = job["metadata"]["annotations"]["textto.video/output-url"].removeprefix("store://")
    store.holds(folder)

    again = played(model, asks_and_is_answered, store)
    assert len(model.asked) == 1
    assert not made_by(again)
    assert status_of(again, KEY[1])["reused"] is True


def test_the_stores_file_holds_the_answer_alone_and_another_namespace_does_not_read_it() -> None:
    store = FakeStore()

    async def story(world: World) -> None:
        await asks_and_is_answered(world)
        elsewhere = another(spec={"seed": 7})
        elsewhere["metadata"]["namespace"] = "elsewhere"
        world.server.put(RESOURCES, elsewhere)
        world.hears()
        await world.reconciler.reconcile(("elsewhere", OTHER[1]))
        await heard(world, ("elsewhere", OTHER[1]))

    model = LanguageModel([BETTER, "Another"])
    played(model, story, store)
    assert len(model.asked) == 2
    here, there = store.files.items()
    assert here[0].split("/")[1::2] == ["default", "prompt.json"]
    assert there[0].split("/")[1::2] == ["elsewhere", "prompt.json"]
    assert [json.loads(each[1]) for each in (here, there)] == [
        {"prompt": BETTER},
        {"prompt": "Another"},
    ]


@pytest.mark.parametrize("held", [b"{", b'{"prompt": ""}', b'{"prompt": "a", "more": 1}'], ids=str)
def test_what_something_else_wrote_there_is_no_answer(held: bytes) -> None:
    store = FakeStore()
    model = LanguageModel([BETTER])
    played(model, asks_and_is_answered, store)
    (file,) = store.files
    store.files[file] = held
    world = played(model, asks_and_is_answered, store)
    assert prompt_of(made_by(world)[0]) == BETTER
    assert len(model.asked) == 2


def test_without_its_store_the_prompt_is_enhanced_all_the_same() -> None:
    store = FakeStore()
    store.is_away = True
    world = played(LanguageModel([BETTER]), asks_and_is_answered, store)
    assert prompt_of(made_by(world)[0]) == BETTER


def test_files_that_go_with_their_resource_leave_no_prompt_behind() -> None:
    async def story(world: World) -> None:
        world.has(spec={"seed": 7, "outputPolicy": "Delete"})
        await world.reconciler.reconcile(KEY)
        await heard(world, KEY)

    store = FakeStore()
    world = played(LanguageModel([BETTER]), story, store)
    assert prompt_of(made_by(world)[0]) == BETTER
    assert store.files == {}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        pytest.param("hang", "did not answer within 1 s", id="slow"),
        pytest.param(500, "answered 500", id="failing"),
        pytest.param(401, "answered 401", id="it says that the key is wrong, and quotes it"),
        pytest.param(b"<html>", "cannot be read", id="nonsense"),
        pytest.param("a" * 8000, "8000 characters", id="8,000 characters"),
    ],
)
def test_rules_stand_in_and_the_fallback_is_told(
    answer: Any, problem: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = FakeStore()
    world = played(LanguageModel([answer]), asks_and_is_answered, store)
    (job,) = made_by(world)
    assert prompt_of(job) == BY_RULES
    world.looks()
    status = status_of(world, KEY[1])
    assert status["resolved"]["prompt"] == BY_RULES, "what is drawn is told"
    assert problem in status["message"]
    assert "so the prompt was enhanced by Rules" in status["message"]
    assert store.files == {}
    for text in (json.dumps(job), json.dumps(status), str(world.told), caplog.text):
        assert API_KEY not in text
    assert "a red circle" not in caplog.text


def test_the_key_is_nowhere_but_in_its_header(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    model = LanguageModel([BETTER])
    world = played(model, asks_and_is_answered)
    (headers,) = model.headers
    assert headers.pop("Authorization") == f"Bearer {API_KEY}"
    written = (world.server.all_of(RESOURCES), world.server.all_of(JOBS))
    for text in (str(headers), str(model.asked), json.dumps(written), caplog.text):
        assert API_KEY not in text


@pytest.mark.parametrize("secret", ["", "two words", "clé"], ids=str)
def test_a_key_that_is_none_is_told_and_nobody_is_asked(
    secret: str, caplog: pytest.LogCaptureFixture
) -> None:
    model = LanguageModel([BETTER])
    world = played(model, asks_and_is_answered, secret=secret)
    assert prompt_of(made_by(world)[0]) == BY_RULES
    assert model.asked == []
    assert "Secret t2v-system/llm of promptEnhancement has no key under 'key'" in caplog.text
    assert not secret or secret not in caplog.text


class Slow:
    """A language model that answers when the test lets it."""

    def __init__(self) -> None:
        self.under_way: list[str] = []
        self.most = 0
        self.goes_on = asyncio.Event()

    async def ask(self, question: Question) -> str:
        self.under_way.append(question.digest)
        self.most = max(self.most, len(self.under_way))
        await self.goes_on.wait()
        self.under_way.remove(question.digest)
        return "A cat"


@pytest.mark.parametrize("is_made", [True, False], ids=["its Job is there", "there is none"])
def test_a_cache_that_lags_asks_nothing_that_was_answered(is_made: bool) -> None:
    async def play() -> None:
        model = Slow()
        world = World(a_config_that_asks(), ask=model.ask)

        async def story(_: World) -> None:
            world.has()
            world.is_current = False
            if is_made:
                world.job()
            await world.reconciler.reconcile(KEY)
            await turns()
            assert len(model.under_way) == (0 if is_made else 1)

        await with_the_answers(world, story)

    asyncio.run(play())


async def turns() -> None:
    """Enough of them for what was begun to reach the language model."""
    for _ in range(10):
        await asyncio.sleep(0)


def a_question(prompt: str) -> Question:
    question = a_job(a_config_that_asks(), prompt=prompt).question
    assert question
    return question


def test_one_namespace_leaves_room_for_the_others() -> None:
    async def play() -> None:
        model = Slow()
        world = World(a_config_that_asks(), ask=model.ask)

        async def story(_: World) -> None:
            for n in range(20):
                world.enhancing.answer(("busy", f"n{n}"), a_question(f"cat {n}"))
            world.enhancing.answer(("calm", "one"), a_question("a dog"))
            await turns()
            assert len(model.under_way) == OF_ONE_NAMESPACE + 1
            for n in range(AT_A_TIME):
                world.enhancing.answer((f"team-{n}", "one"), a_question("a dog"))
            await turns()
            assert len(model.under_way) == AT_A_TIME
            model.goes_on.set()
            async with asyncio.timeout(10):
                while len(world.look_again) < 20 + 1 + AT_A_TIME:
                    await asyncio.sleep(0.001)

        await with_the_answers(world, story)
        assert model.most == AT_A_TIME

    asyncio.run(play())


class Away:
    """A language model that fails with this."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        self.asked = 0

    async def ask(self, question: Question) -> str:
        self.asked += 1
        raise self.fault


async def answered(world: World, prompt: str) -> Answer:
    question = a_question(prompt)
    if world.enhancing.answer(KEY, question) is None:
        async with asyncio.timeout(10):
            while not world.look_again:
                await asyncio.sleep(0.001)
        world.look_again.clear()
    answer = world.enhancing.answer(KEY, question)
    assert answer
    return answer


def faring(fault: Exception, story: Callable[[World, Away], Awaitable[None]]) -> None:
    async def play() -> None:
        model = Away(fault)
        world = World(a_config_that_asks(), ask=model.ask)
        await with_the_answers(world, lambda world: story(world, model))

    asyncio.run(play())


def test_an_endpoint_that_is_away_is_left_alone_for_a_while() -> None:
    async def story(world: World, model: Away) -> None:
        for n in range(FAULTS_IN_A_ROW):
            assert (await answered(world, f"cat {n}")).problem == "it is away"
        assert "just now" in (await answered(world, "a dog")).problem
        assert model.asked == FAULTS_IN_A_ROW
        world.passes(PAUSE_SECONDS)
        assert (await answered(world, "a bird")).problem == "it is away"

    faring(NoAnswer("it is away"), story)


def test_odd_answers_to_single_prompts_stop_nobody_elses() -> None:
    async def story(world: World, model: Away) -> None:
        for n in range(2 * FAULTS_IN_A_ROW):
            assert (await answered(world, f"cat {n}")).problem == "nonsense"

    faring(NoAnswer("nonsense", is_away=False), story)


def test_what_got_no_prompt_is_asked_again_in_its_time() -> None:
    async def story(world: World, model: Away) -> None:
        await answered(world, "a cat")
        await answered(world, "a cat")
        assert model.asked == 1
        world.passes(FAULT_SECONDS)
        await answered(world, "a cat")
        assert model.asked == 2

    faring(NoAnswer("nonsense", is_away=False), story)


def test_a_fault_of_ours_is_no_reason_to_stop() -> None:
    async def story(world: World, model: Away) -> None:
        assert "could not be asked" in (await answered(world, "a cat")).problem
        assert "could not be asked" in (await answered(world, "a dog")).problem

    faring(RuntimeError(f"with {API_KEY}"), story)
