"""What cancelling and retrying write, and when they write nothing."""

from typing import Any

import pytest
from t2v_client import NothingToDo
from t2v_client.steering import cancelling, retrying

from tests.unit.observations import a_job_seen, a_resource_document, a_status, running, succeeded

CANCELLED = a_status(spec={"cancel": True}, status=running(), job=a_job_seen())
FAILED = a_status(status=running(), job=a_job_seen(failed="BackoffLimitExceeded"))


def a_resource(status: Any = None, generation: int = 1, **spec: Any) -> dict[str, Any]:
    return a_resource_document(spec=spec, status=status, generation=generation)


@pytest.mark.parametrize("status", [None, running()], ids=["new", "running"])
def test_what_is_under_way_can_be_cancelled_and_not_retried(status: Any) -> None:
    assert cancelling(a_resource(status)) == {"cancel": True}
    assert cancelling(a_resource(status, cancel=True)) == {"cancel": True}
    with pytest.raises(NothingToDo, match="under way"):
        retrying(a_resource(status))


def test_what_is_cancelled_has_ended() -> None:
    with pytest.raises(NothingToDo, match="red-circle has ended already: Failed"):
        cancelling(a_resource(CANCELLED, cancel=True))


def test_what_is_made_is_neither() -> None:
    for act in (cancelling, retrying):
        with pytest.raises(NothingToDo, match="Succeeded"):
            act(a_resource(succeeded()))


def test_a_retry_takes_a_token_that_was_never_used() -> None:
    assert retrying(a_resource(FAILED)) == {"retryToken": "1"}
    used = FAILED.model_copy(update={"retry_tokens": ("7", "a-commit", "9")})
    assert retrying(a_resource(used, retryToken="9")) == {"retryToken": "10"}


def test_a_retry_takes_a_cancel_back() -> None:
    assert retrying(a_resource(CANCELLED, cancel=True)) == {"retryToken": "1", "cancel": None}


def test_what_was_edited_since_is_under_way() -> None:
    with pytest.raises(NothingToDo, match="under way"):
        retrying(a_resource(FAILED, generation=2))
