"""How long the next video may take, by those that were made."""

from typing import Any

import pytest
from t2v_api.progress import Stage
from t2v_api.resource import ResolvedRequest
from t2v_operator.core.earlier_runs import KEPT_RUNS, EarlierRuns, expected_seconds

from tests.unit.observations import at, text
from tests.unit.test_memory import a_request

TIMINGS = {Stage.START: 1.0, Stage.LOAD: 10.0, Stage.DENOISE: 100.0, Stage.DECODE: 20.0}


def a_video(
    pool: str = "default",
    timings: dict[Any, float] = TIMINGS,
    made: float = 0,
    phase: str = "Succeeded",
    **changes: Any,
) -> dict[str, Any]:
    """A finished resource, of which only what is read is there."""
    reused = changes.pop("reused", None)
    request = a_request(**changes)
    resolved = ResolvedRequest(**dict(request), model_revision="any", runner_image="any")
    return {
        "status": {
            "phase": phase,
            "pool": pool,
            "reused": reused,
            "resolved": resolved.document(),
            "timings": {str(stage): seconds for stage, seconds in timings.items()},
            "completionTime": text(at(made)),
        }
    }


def expected(*videos: dict[str, Any], pool: str = "default", **changes: Any) -> float | None:
    runs = EarlierRuns()
    for video in videos:
        runs.take(video)
    return expected_seconds(a_request(**changes), pool, runs.of("any"))


def test_an_equal_request_takes_as_long() -> None:
    assert expected(a_video()) == 131


def test_steps_make_denoising_longer_and_nothing_else() -> None:
    assert expected(a_video(), num_inference_steps=100) == 231


def test_a_size_makes_denoising_and_decoding_longer_and_loading_not() -> None:
    assert expected(a_video(), width=416, height=240) == 11 + 25 + 5


def test_more_frames_are_more_work() -> None:
    assert expected(a_video(num_frames=41), num_frames=82) == 11 + 200 + 40


@pytest.mark.parametrize(
    "other",
    [
        {"pool": "other"},
        {"model_id": "other"},
        {"guidance_scale": 1.0},
        {"scheduler": "DDIMScheduler"},
        {"init_image": "https://example.com/a.png"},
        {"reused": True},
        {"phase": "Failed"},
        {"timings": {}},
        {"timings": {"a stage of a later version": 1.0}},
    ],
    ids=str,
)
def test_what_is_drawn_otherwise_tells_nothing(other: dict[str, Any]) -> None:
    if "scheduler" in other:
        other = {"scheduler": type(a_request().scheduler)(other["scheduler"])}
    assert expected(a_video(**other)) is None


@pytest.mark.parametrize("lost", ["resolved", "timings", "pool", "completionTime"])
def test_a_status_that_does_not_tell_all_tells_nothing(lost: str) -> None:
    video = a_video()
    del video["status"][lost]
    assert expected(video, {"spec": {}}, {"status": None}) is None


def test_a_status_of_another_version_tells_nothing() -> None:
    video = a_video()
    video["status"]["resolved"]["aFieldOfTomorrow"] = 1
    assert expected(video) is None


def test_of_several_of_the_nearest_size_the_middle_one_counts() -> None:
    small = a_video(num_frames=9, timings={Stage.DENOISE: 1.0}, made=4)
    slow = a_video(timings={Stage.DENOISE: 500.0}, made=1)
    others = [a_video(timings={Stage.DENOISE: 90.0 + made}, made=made) for made in (2, 3)]
    for videos in ((small, slow, *others), (*others, slow, small)):
        assert expected(*videos) == 93


def test_runs_of_several_sizes_tell_how_steeply_a_step_grows() -> None:
    def steps(frames: int) -> dict[Any, float]:
        return {Stage.LOAD: 10.0, Stage.DENOISE: 0.001 * frames**1.5}

    videos = [a_video(num_frames=frames, timings=steps(frames)) for frames in (9, 25, 41)]
    assert expected(*videos, num_frames=81) == pytest.approx(sum(steps(81).values()), abs=0.1)


def test_what_is_steeper_than_attention_is_noise() -> None:
    videos = [
        a_video(num_frames=9, timings={Stage.DENOISE: 1.0}),
        a_video(num_frames=18, timings={Stage.DENOISE: 100.0}),
    ]
    assert expected(*videos, num_frames=36) == 400


def test_of_thousands_the_latest_are_kept_however_they_come() -> None:
    runs = EarlierRuns()
    times = [(37 * number) % 1000 for number in range(1000)]
    for time in (*times, *times):
        runs.take(a_video(made=time))
    assert [run.completed for run in runs.of("any")] == [
        at(1000 - number) for number in range(KEPT_RUNS, 0, -1)
    ]
