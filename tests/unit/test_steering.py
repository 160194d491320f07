"""What `t2v cancel` and `t2v retry` write, and when they write nothing."""

from typing import Any

import pytest
from t2v_operator.core.steering import Needless, cancelling, retrying

from tests.unit.observations import a_job_seen, a_resource_document, a_status, running, succeeded

CANCELLED = a_status(spec={"cancel": True}, status=running(), job=a_job_seen())
FAILED = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"))


def a_resource(status: Any = None, generation: int = 1, **spec: Any) -> dict[str, Any]:
    return a_resource_document(spec=spec, status=status, generation=generation)


@pytest.mark.parametrize("status", [None, running()], ids=["new", "running"])
def test_what_is_under_way_can_be_cancelled_and_not_retried(status: Any) -> None:
    assert cancelling(a_resource(status)) == {"spec": {"cancel": True}}
    answer = retrying(a_resource(status))
    assert isinstance(answer, Needless)
    assert "under way" in answer.why


def test_what_is_cancelled_is_not_cancelled_twice() -> None:
    answer = cancelling(a_resource(running(), cancel=True))
    assert answer == Needless("it is cancelled already")
    assert isinstance(cancelling(a_resource(CANCELLED, cancel=True)), Needless)


def test_what_is_made_is_neither() -> None:
    for act in (cancelling, retrying):
        assert isinstance(act(a_resource(succeeded())), Needless)


def test_a_retry_takes_a_token_that_was_never_used() -> None:
    assert retrying(a_resource(FAILED)) == {"spec": {"retryToken": "1"}}
    used = FAILED.model_copy(update={"retry_tokens": ("7", "a-commit", "9")})
    assert retrying(a_resource(used, retryToken="9")) == {"spec": {"retryToken": "10"}}
    assert retrying(a_resource(used), "mine") == {"spec": {"retryToken": "mine"}}
    answer = retrying(a_resource(used), "a-commit")
    assert isinstance(answer, Needless)
    assert "was used before" in answer.why


def test_a_retry_takes_a_cancel_back() -> None:
    patch = retrying(a_resource(CANCELLED, cancel=True))
    assert patch == {"spec": {"retryToken": "1", "cancel": None}}


def test_what_was_edited_since_is_under_way() -> None:
    assert isinstance(retrying(a_resource(FAILED, generation=2)), Needless)
