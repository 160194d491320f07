"""What a language model is asked for a prompt, and which of its answers are prompts."""

import json
from typing import Any

import pytest
from t2v_api.family import ModelFamily
from t2v_api.start import Start
from t2v_operator.core.enhancing import AnswerRefused, Question, read_answer
from t2v_operator.core.instructions import READS, instruction

from tests.unit.builders import a_config_that_asks, a_job
from tests.unit.language_model import completion


def the_question(model: dict[str, Any] | None = None, **spec: Any) -> Question:
    question = a_job(a_config_that_asks(model), **spec).question
    assert question
    return question


def the_body(question: Question) -> Any:
    return json.loads(question.body)


def test_the_question_has_the_familys_instruction_and_the_prompt_as_it_is() -> None:
    body = the_body(the_question(prompt='a "red" circle\nand 🔴'))
    system, user = body.pop("messages")
    assert system == {
        "role": "system",
        "content": instruction(ModelFamily.ANIMATEDIFF, Start.TEXT),
    }
    assert user == {"role": "user", "content": 'a "red" circle\nand 🔴'}
    assert body == {"model": "the-model", "temperature": 0, "stream": False}


def test_the_configured_parameters_stand_in_the_place_of_the_temperature() -> None:
    config = a_config_that_asks(parameters={"reasoning_effort": "low"})
    question = a_job(config).question
    assert question
    body = the_body(question)
    assert (body["reasoning_effort"], "temperature" in body) == ("low", False)


@pytest.mark.parametrize("family", ModelFamily)
def test_every_family_has_an_instruction_that_keeps_to_its_text_encoder(
    family: ModelFamily,
) -> None:
    text = instruction(family, Start.TEXT)
    assert READS[family] in text
    words = int(text.partition("at most ")[2].split()[0])
    assert words <= 200
    assert words * 5 / 3 <= family.traits.prompt_tokens
    assert len({instruction(each, Start.TEXT) for each in ModelFamily}) == len(ModelFamily)


def test_of_a_picture_that_the_model_cannot_see_it_is_told() -> None:
    said = instruction(ModelFamily.LTX, Start.FIRST_FRAME)
    assert "cannot see" in said
    assert "cannot see" not in instruction(ModelFamily.LTX, Start.TEXT)


@pytest.mark.parametrize(
    ("spec", "same"),
    [
        pytest.param({"seed": 9, "width": 128, "negativePrompt": "x"}, True, id="other drawing"),
        pytest.param({"webhook": "https://example.com/"}, True, id="other delivery"),
        pytest.param({"prompt": "a red circle."}, False, id="other prompt"),
    ],
)
def test_equal_questions_have_one_digest(spec: dict[str, Any], same: bool) -> None:
    assert (the_question(**spec).digest == the_question().digest) is same


def test_another_model_or_family_is_another_question() -> None:
    asked = {
        the_question().digest,
        the_question({"family": "TextToVideoSD"}).digest,
        a_job(a_config_that_asks(model="other")).question.digest,  # type: ignore[union-attr]
    }
    assert len(asked) == 3


@pytest.mark.parametrize(
    ("spec", "may"),
    [({}, True), ({"outputPolicy": "Delete"}, False), ({"outputTtlSeconds": 60}, False)],
    ids=str,
)
def test_where_the_files_go_no_answer_is_left(spec: dict[str, Any], may: bool) -> None:
    assert the_question(**spec).may_be_stored is may


@pytest.mark.parametrize(
    "said",
    [
        "A cat, seen from above",
        "  A cat,\n\nseen  from above\t",
        '"A cat, seen from above"',
        "“A cat, seen from above”",
        "```\nA cat, seen from above\n```",
        '```text\n"A cat, seen from above"\n```',
        '<think>They want "a cat".\nSo:</think>\n\nA cat, seen from above',
    ],
)
def test_what_models_put_around_a_prompt_is_taken_off(said: str) -> None:
    assert read_answer(completion(said), the_question()) == "A cat, seen from above"


@pytest.mark.parametrize(
    "said", ['"Go!" says the cat, "now"', "A sign that reads 'open'", '"', "Emoji 👩‍🚀 and é"]
)
def test_what_belongs_to_the_prompt_stays(said: str) -> None:
    question = the_question()
    if said == '"':
        with pytest.raises(AnswerRefused):
            read_answer(completion(said), question)
    else:
        assert read_answer(completion(said), question) == said


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        pytest.param(b"<html>", "cannot be read", id="no JSON"),
        pytest.param(b"\xff\xfe", "cannot be read", id="no UTF-8"),
        pytest.param(b"[" * 200_000, "cannot be read", id="nested for ever"),
        pytest.param(b"[]", "cannot be read", id="no object"),
        pytest.param(b'{"choices": []}', "cannot be read", id="no choice"),
        pytest.param(b'{"choices": [7]}', "cannot be read", id="an odd choice"),
        pytest.param(completion(None), "answered no text", id="a refusal"),
        pytest.param(completion(["a"]), "answered no text", id="parts"),
        pytest.param(completion(""), "answered no words", id="empty"),
        pytest.param(completion("``` ```"), "answered no words", id="an empty fence"),
        pytest.param(completion("12 … ?!"), "answered no words", id="no words"),
        pytest.param(completion("a\x07cat"), "no text", id="control characters"),
        pytest.param(completion("a cat \ud800"), "no text", id="half a character"),
        pytest.param(completion("a" * 8000), "8000 characters, and at most 2000", id="too long"),
        pytest.param(
            completion("a cat " * 50), "100 words, and the text encoder reads 77", id="cut"
        ),
        pytest.param(completion("a cat", "length"), "was cut off", id="not finished"),
    ],
)
def test_nonsense_is_refused_without_being_quoted(body: bytes, problem: str) -> None:
    with pytest.raises(AnswerRefused) as refusal:
        read_answer(body, the_question())
    assert problem in str(refusal.value)
    assert len(str(refusal.value)) < 100
