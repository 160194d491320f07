"""A prompt that a language model enhances: asked before the Job is made, and not for nothing."""

from typing import Any

import pytest
from t2v_api.reasons import Reason, Waiting
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.core.decide import decide
from t2v_operator.core.decision import Decision
from t2v_operator.core.enhance import QUALITY_TERMS
from t2v_operator.core.enhancing import Answer

from tests.unit.builders import a_config_that_asks
from tests.unit.observations import an_observation, reason_of

CONFIG = a_config_that_asks()
BETTER = Answer("A large red circle on a white wall")
BY_RULES = ", ".join(["a red circle", *QUALITY_TERMS])


def decided(
    answer: Answer | None = None, status: TextToVideoJobStatus | None = None, **more: Any
) -> Decision:
    return decide(an_observation(answer=answer, status=status, **more), CONFIG)


def prompt_of(decision: Decision) -> str:
    assert decision.makes_a_job
    assert decision.status
    assert decision.status.resolved
    return decision.status.resolved.prompt


def test_a_request_waits_for_its_prompt_without_a_job() -> None:
    decision = decided()
    assert decision.question
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.PENDING
    assert reason_of(decision.status) == Waiting.ENHANCING_PROMPT


def test_the_answer_is_what_the_job_draws() -> None:
    decision = decided(BETTER)
    assert prompt_of(decision) == BETTER.prompt
    assert decision.question is None
    assert decision.status
    assert "Rules" not in decision.status.message


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(problem="the language model answered 500"), id="no answer"),
        pytest.param(Answer(BY_RULES), id="the prompt of an earlier Job that had none"),
    ],
)
def test_without_an_answer_rules_do_it_and_the_status_says_so(answer: Answer) -> None:
    decision = decided(answer)
    assert prompt_of(decision) == BY_RULES
    assert decision.status
    said = answer.problem or "the language model gave no other prompt"
    assert f"{said}, so the prompt was enhanced by Rules" in decision.status.message


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"enhancePrompt": False}, id="not wanted"),
        pytest.param({"suspend": True}, id="suspended"),
        pytest.param({"width": 4096}, id="refused"),
        pytest.param({"queueName": "videos"}, id="a queue that cannot be used"),
    ],
)
def test_nobody_is_asked_for_nothing(spec: dict[str, Any]) -> None:
    assert decided(spec=spec).question is None


def test_a_refused_request_fails_without_a_question() -> None:
    assert reason_of(decided(spec={"width": 4096}).status) == Reason.INVALID_REQUEST


def test_a_job_that_is_made_again_draws_the_same_prompt() -> None:
    first = decided(BETTER).status
    assert prompt_of(decided(status=first)) == BETTER.prompt


def test_equal_answers_make_equal_videos_and_others_do_not() -> None:
    def folder(answer: Answer) -> str:
        manifest = decided(answer).actions[0].manifest  # type: ignore[union-attr]
        url: str = manifest["metadata"]["annotations"]["textto.video/output-url"]
        return url

    assert folder(BETTER) == folder(Answer(BETTER.prompt))
    assert folder(BETTER) != folder(Answer("Another circle"))
