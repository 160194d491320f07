"""One question to a real endpoint on this machine: slow, failing, talkative."""

import asyncio
from typing import Any

import pytest
from t2v_operator.cluster.reporting import outgoing_session
from t2v_operator.core.enhancing import Question
from t2v_operator.delivery.prompt_endpoint import ANSWER_BYTES, Endpoint, NoAnswer

from tests.unit.builders import a_config_that_asks, a_job
from tests.unit.language_model import KEY, LanguageModel, completion


async def ask(model: LanguageModel, url: str = "", **section: Any) -> str:
    config = a_config_that_asks(url=url or model.url, **section)
    question, endpoint = a_job(config).question, config.prompt_enhancement
    assert isinstance(question, Question)
    assert endpoint

    async def key() -> str:
        return KEY

    async with outgoing_session() as session:
        return await Endpoint(endpoint, session, key, pauses_seconds=(0, 0)).ask(question)


def asked(*answers: Any, **section: Any) -> tuple[LanguageModel, str | NoAnswer]:
    """What such an endpoint was asked, and what came of it."""

    async def go() -> tuple[LanguageModel, str | NoAnswer]:
        async with LanguageModel(list(answers)).open() as model:
            try:
                return model, await ask(model, **section)
            except NoAnswer as fault:
                return model, fault

    return asyncio.run(go())


def test_the_key_goes_in_its_header_and_the_answer_comes_back() -> None:
    model, answer = asked("A cat, seen from above")
    assert answer == "A cat, seen from above"
    (headers,) = model.headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(model.asked)
    assert model.asked[0]["messages"][1]["content"] == "a red circle"


def test_without_a_key_none_is_sent() -> None:
    async def go() -> LanguageModel:
        async with LanguageModel().open() as model, outgoing_session() as session:
            config = a_config_that_asks(url=model.url)
            question = a_job(config).question
            assert config.prompt_enhancement
            assert question
            await Endpoint(config.prompt_enhancement, session, None).ask(question)
            return model

    assert "Authorization" not in asyncio.run(go()).headers[0]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([500, 503, "A cat"], id="twice failing"),
        pytest.param([(429, {"Retry-After": "0"}), "A cat"], id="too many at once"),
    ],
)
def test_what_may_pass_is_tried_again(answers: list[Any]) -> None:
    tries = len(answers)
    model, answer = asked(*answers)
    assert (answer, len(model.asked)) == ("A cat", tries)


@pytest.mark.parametrize(
    ("answer", "problem", "tries", "is_away"),
    [
        pytest.param(500, "answered 500", 3, True, id="failing"),
        pytest.param(401, "answered 401", 1, True, id="the key is wrong"),
        pytest.param(400, "answered 400", 1, False, id="not this prompt"),
        pytest.param((429, {"Retry-After": "60"}), "answered 429", 1, True, id="a long wait"),
        pytest.param((307, {"Location": "/elsewhere"}), "answered 307", 1, True, id="redirect"),
        pytest.param("hang", "did not answer within 1 s", 1, True, id="slow"),
        pytest.param(b"<html>", "cannot be read", 1, False, id="nonsense"),
        pytest.param("a" * 8000, "8000 characters", 1, False, id="8,000 characters"),
        pytest.param(b" " * (ANSWER_BYTES + 1), "more than 256 KiB", 1, False, id="endless"),
    ],
)
def test_no_prompt_is_told_without_the_key_or_the_address(
    answer: Any, problem: str, tries: int, is_away: bool
) -> None:
    model, fault = asked(answer, timeoutSeconds=1 if answer == "hang" else 30)
    assert isinstance(fault, NoAnswer)
    assert problem in str(fault)
    assert (len(model.asked), fault.is_away) == (tries, is_away)
    assert KEY not in str(fault)
    assert "127.0.0.1" not in str(fault)


def test_an_endpoint_that_is_not_there_is_told() -> None:
    with pytest.raises(NoAnswer, match="could not be reached") as fault:
        asyncio.run(ask(LanguageModel(), url="http://127.0.0.1:1/v1"))
    assert "127.0.0.1" not in str(fault.value)


def test_a_good_answer_among_other_fields_is_read() -> None:
    assert asked(completion("A dog"))[1] == "A dog"
