"""A store's refusals, counted."""

import asyncio
import inspect
from typing import Any

import pytest
from t2v_operator.cluster.counted_store import OPERATIONS, CountedStore
from t2v_operator.cluster.store_address import NoAddressYet
from t2v_operator.delivery.stores import Store, StoreUnavailable


class Asked:
    """A store that answers each question with `answer`, or raises it."""

    prefix = "videos"

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def links_end(self) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        async def ask(*_: Any) -> Any:
            if isinstance(self._answer, Exception):
                raise self._answer
            return self._answer

        return ask


def ask(operation: str, answer: Any) -> tuple[Any, list[str]]:
    failed: list[str] = []
    inner: Any = Asked(answer)
    method = getattr(CountedStore(inner, failed.append), operation)
    questions = ["key"] * len(inspect.signature(method).parameters)
    try:
        return asyncio.run(method(*questions)), failed
    except StoreUnavailable as error:
        return error, failed


def test_every_question_to_a_store_is_counted() -> None:
    asked = {name for name, of in vars(Store).items() if inspect.iscoroutinefunction(of)}
    assert asked == set(OPERATIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_a_store_does_not_do_is_counted_once(operation: str) -> None:
    error = StoreUnavailable("the store answered 500")
    assert ask(operation, error) == (error, [operation])


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - {"write", "remove"}))
def test_what_it_does_is_handed_on(operation: str) -> None:
    assert ask(operation, "answer") == ("answer", [])


def test_an_address_that_is_not_there_yet_is_no_fault_of_the_store() -> None:
    error = NoAddressYet("the Service has no address yet")
    assert ask("link", error) == (error, [])
