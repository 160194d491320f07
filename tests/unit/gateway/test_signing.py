"""A gateway whose Secret was replaced begins anew."""

import asyncio

from t2v_gateway.signing import until_another_signs
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.delivery.signatures import KeyInvalid

KNOWN, OTHER = b"k" * 32, b"o" * 32


def looks_until_it_ends(*answers: tuple[bytes, ...] | Exception) -> int:
    """How many of the answers it took."""
    left = list(answers)

    async def read() -> tuple[bytes, ...]:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    asyncio.run(asyncio.wait_for(until_another_signs(read, KNOWN, look_seconds=0), 10))
    return len(answers) - len(left)


def test_another_secret_ends_it() -> None:
    assert looks_until_it_ends((KNOWN,), (KNOWN, OTHER), (OTHER, KNOWN), (KNOWN,)) == 3


def test_one_that_is_missing_or_cannot_be_read_is_waited_for() -> None:
    away = ClusterError(503, "Unavailable", "no endpoints")
    assert looks_until_it_ends((), away, TimeoutError(), KeyInvalid("short"), (OTHER,)) == 5
