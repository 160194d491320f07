"""The record of a run fits into what Kubernetes keeps of it."""

import pytest
from pydantic import ValidationError
from t2v_api.attention import Attention
from t2v_api.execution import MOST_CHARACTERS, MOST_FALLS, Execution
from t2v_api.progress import Stage
from t2v_api.result import (
    MOST_FILES,
    MOST_NOTICES,
    TERMINATION_MESSAGE_BYTES,
    Audio,
    GenerationResult,
    Video,
    read_outcome,
)
from t2v_api.schedulers import Scheduler

LARGE = 2**63 - 1


def a_record(*notices: str) -> GenerationResult:
    """As long as it can be, but for its notices."""
    return GenerationResult(
        output=tuple("x" * 60 + ".mp4" for _ in range(MOST_FILES)),
        video=Video(
            sha256="a" * 64,
            frames_sha256="b" * 64,
            bytes=LARGE,
            width=4096,
            height=4096,
            frames=100_000,
            fps=60,
            duration=12345.678901234567,
            audio=Audio(codec="x" * 16, sample_rate=192_000, channels=8),
        ),
        seed=LARGE,
        scheduler=max(Scheduler, key=len),
        scheduler_class="x" * 128,
        model_revision="x" * 512,
        execution=Execution(
            device="x" * 16,
            dtype="x" * 16,
            plan="x" * 32,
            expected_bytes=LARGE,
            peak_bytes=LARGE,
            fell_back=("x" * MOST_CHARACTERS,) * MOST_FALLS,
            attention=max(Attention, key=len),
            compiled=True,
            cache="x" * 64,
        ),
        timings=dict.fromkeys(Stage, 123456.789),
        generation_time=123456.789,
        notices=notices,
    )


def test_the_largest_record_is_kept_whole() -> None:
    # Quotes are the longest characters there: JSON writes two for one.
    record = a_record(*('"' * 160 for _ in range(MOST_NOTICES)))
    line = record.json_line()
    assert len(line.encode()) <= TERMINATION_MESSAGE_BYTES
    assert read_outcome(line) == record


@pytest.mark.parametrize(
    "notices",
    [
        pytest.param(("x",) * (MOST_NOTICES + 1), id="too many"),
        pytest.param(("x" * 161,), id="too long"),
        pytest.param(("naïve",), id="letters that JSON writes longer"),
    ],
)
def test_notices_that_might_not_fit_are_refused(notices: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        a_record(*notices)


def test_a_record_of_before_has_none() -> None:
    document = a_record().document()
    del document["notices"]
    assert GenerationResult.parse(document).notices == ()
