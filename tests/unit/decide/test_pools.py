"""The GPU's memory: what is said, refused and chosen before one is taken, and what follows when it
did not do."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decision import CreateJob, Decision, DeleteJob
from t2v_operator.core.earlier_runs import EarlierRuns
from t2v_operator.core.observe import observe_job
from t2v_operator.core.observed import ObservedJob, ObservedPod

from tests.unit.builders import a_config_of_pools
from tests.unit.model_observations import MODEL, a_ready_model
from tests.unit.observations import (
    a_failure,
    a_pod,
    at,
    conditions,
    decided,
    reason_of,
    text,
)
from tests.unit.test_earlier_runs import a_video
from tests.unit.test_memory import GIB, some_sizes

SMALL = {"name": "small", "gpuMemory": "24Gi"}
MIDDLE = {"name": "middle", "gpuMemory": "48Gi"}
LARGE = {"name": "large", "gpuMemory": "80Gi"}
TINY = {"name": "tiny", "gpuMemory": "6Gi"}
UNKNOWN = {"name": "unknown"}
VIDEO = {"width": 832, "height": 480, "numFrames": 81}
DEFAULTS = {
    "width": 832,
    "height": 480,
    "numFrames": 81,
    "fps": 16,
    "numInferenceSteps": 50,
    "guidanceScale": 5.0,
    "scheduler": "UniPCMultistepScheduler",
}


def a_catalogue(*pools: dict[str, Any], kueue: bool = False, **model: Any) -> OperatorConfig:
    """One model like Wan 14B, whose sizes are known."""
    known = {
        "family": "Wan",
        "defaults": DEFAULTS,
        "limits": {"maxWidth": 832, "maxFrames": 161},
        "sizes": some_sizes().document() | {"download": 80 * GIB},
    }
    return a_config_of_pools(*pools, kueue=kueue, **(known | model))


def the_status(decision: Decision) -> TextToVideoJobStatus:
    assert decision.status
    return decision.status


def the_job(decision: Decision, failed: str = "", deleting: bool = False) -> ObservedJob:
    """The Job that was made, as it is seen later."""
    (action,) = decision.actions
    assert isinstance(action, CreateJob)
    metadata = action.manifest["metadata"] | {"uid": "job-uid", "creationTimestamp": text(at(0))}
    if deleting:
        metadata["deletionTimestamp"] = text(at(5))
    condition = {"type": "Failed", "status": "True", "lastTransitionTime": text(at(60))}
    conditions = [condition | {"reason": failed, "message": "in the Job's words"}] if failed else []
    return observe_job(
        action.manifest | {"metadata": metadata, "status": {"conditions": conditions}}
    )


def out_of_memory(pool: str, made: float = 0, exit_code: int = 4) -> ObservedPod:
    message = a_failure(Reason.OUT_OF_MEMORY, "decoding on the CPU was the last way")
    return a_pod(f"pod-in-{pool}", exit_code=exit_code, message=message, pool=pool, made=made)


def test_what_a_video_takes_stands_on_the_status_before_a_gpu_is_taken() -> None:
    estimate = the_status(decided(a_catalogue(SMALL))).estimate
    assert estimate
    assert estimate.plan == "GroupOffload"
    assert estimate.gpu_bytes
    assert 10 * GIB < estimate.gpu_bytes < 24 * GIB
    assert estimate.host_bytes == 36 * GIB
    assert estimate.download_bytes == 80 * GIB
    assert estimate.seconds is None


def test_what_is_in_the_cache_is_not_downloaded() -> None:
    config = a_catalogue(SMALL)
    cache = config.document() | {"modelCache": {"kind": "claim", "claimName": "models"}}
    model = {name: value for name, value in config.document()["models"][0].items() if name != "id"}
    hub = {"hub": "owner/name", "revision": "main"}
    ready = a_ready_model(**(model | {"source": hub}))
    decision = decided(OperatorConfig.parse(cache), spec={"modelId": MODEL}, models={MODEL: ready})
    estimate = the_status(decision).estimate
    assert estimate
    assert estimate.download_bytes == 0


def a_lora(name: str, download: int | None = None, hub: bool = True) -> dict[str, Any]:
    source = {"hub": f"owner/{name}", "revision": "c" * 40} if hub else {"path": name}
    return {"name": name, "family": "Wan", "source": source, "download": download}


@pytest.mark.parametrize(
    ("loras", "expected"),
    [
        ([a_lora("a", 7)], 80 * GIB + 7),
        ([a_lora("a", 7), a_lora("b", 2)], 80 * GIB + 9),
        ([a_lora("a", 7), a_lora("b", hub=False)], 80 * GIB + 7),
        ([a_lora("a", 7), a_lora("b")], None),
    ],
    ids=["one", "two", "one is a folder", "one whose size nobody said"],
)
def test_loras_are_downloaded_too(loras: list[dict[str, Any]], expected: int | None) -> None:
    config = OperatorConfig.parse(a_catalogue(SMALL).document() | {"loras": loras})
    wanted = {"loras": [{"source": each["name"]} for each in loras]}
    estimate = the_status(decided(config, spec=wanted)).estimate
    assert estimate
    assert estimate.download_bytes == expected
    assert estimate.plan, "the rest is known"


def test_of_a_model_in_the_cache_its_loras_are_downloaded() -> None:
    config = a_catalogue(SMALL)
    cached = config.document() | {
        "modelCache": {"kind": "claim", "claimName": "models"},
        "loras": [a_lora("a", 7)],
    }
    model = {name: value for name, value in config.document()["models"][0].items() if name != "id"}
    ready = a_ready_model(**(model | {"source": {"hub": "owner/name", "revision": "main"}}))
    spec = {"modelId": MODEL, "loras": [{"source": "a"}]}
    decision = decided(OperatorConfig.parse(cached), spec=spec, models={MODEL: ready})
    estimate = the_status(decision).estimate
    assert estimate
    assert estimate.download_bytes == 7


def test_what_the_profile_forces_is_what_is_estimated() -> None:
    forced = {"placement": "ModelOffload", "tiling": True}
    estimate = the_status(decided(a_catalogue(LARGE, execution=forced))).estimate
    assert estimate
    assert estimate.plan == "ModelOffload+Tiling"


def test_earlier_videos_tell_how_long_it_takes() -> None:
    runs = EarlierRuns()
    runs.take(a_video(pool="small"))
    runs.take(a_video(pool="large", num_frames=41))
    estimate = the_status(decided(a_catalogue(SMALL), earlier_runs=runs.of("any"))).estimate
    assert estimate
    assert estimate.seconds == 131
    unsized = decided(a_catalogue(SMALL, sizes=None), earlier_runs=runs.of("any"))
    estimate = the_status(unsized).estimate
    assert estimate
    assert (estimate.seconds, estimate.plan) == (131, None)


@pytest.mark.parametrize(
    ("pool", "model"),
    [
        pytest.param(UNKNOWN, {}, id="the pool does not say"),
        pytest.param(SMALL, {"sizes": None}, id="the model's sizes are not known"),
        pytest.param(TINY, {"resources": {"gpus": 0}}, id="no GPU is needed"),
        pytest.param(TINY, {"resources": {"gpus": 2}}, id="several GPUs share it"),
    ],
)
def test_nothing_is_estimated_or_refused_where_too_little_is_known(
    pool: dict[str, Any], model: dict[str, Any]
) -> None:
    status = the_status(decided(a_catalogue(pool, **model)))
    assert (status.phase, status.estimate) == (Phase.QUEUED, None)


def test_the_estimate_stays_until_the_end_and_goes_with_its_request() -> None:
    config = a_catalogue(SMALL)
    made = decided(config)
    first = the_status(made)
    seen = decided(config, status=first, job=the_job(made), pods=(a_pod(running=True),))
    assert the_status(seen).estimate == first.estimate
    changed = decided(
        config, spec={"seed": 2}, generation=2, status=first, earlier_jobs=(the_job(made),)
    )
    assert the_status(changed).estimate is None


def test_a_video_that_fits_no_pool_takes_no_gpu() -> None:
    decision = decided(a_catalogue(TINY, {"name": "less", "gpuMemory": "5Gi"}))
    status = the_status(decision)
    assert decision.actions == ()
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.OUT_OF_MEMORY)
    assert status.message.startswith("pool tiny has GPUs of 6Gi; 832x480 with 81 frames needs ")
    assert "would fit" in status.message
    assert conditions(status)["Stalled"] == "True"


def test_a_host_without_room_for_the_weights_is_no_reason_to_take_a_gpu() -> None:
    config = a_catalogue(SMALL, resources={"gpus": 1, "memory": "16Gi"})
    assert "of the host's memory it needs" in the_status(decided(config)).message


@pytest.mark.parametrize(
    ("pools", "expected"),
    [
        ((SMALL, LARGE), "small"),
        ((LARGE, SMALL), "large"),
        ((TINY, SMALL, LARGE), "small"),
        ((UNKNOWN, LARGE), "unknown"),
        ((TINY, UNKNOWN, LARGE), "unknown"),
    ],
    ids=[
        "the first that holds it",
        "though another would do",
        "a small one is passed over",
        "one that does not say may hold it",
        "also after a small one",
    ],
)
def test_a_video_goes_to_the_first_pool_that_is_not_known_to_be_too_small(
    pools: tuple[dict[str, Any], ...], expected: str
) -> None:
    assert the_status(decided(a_catalogue(*pools))).pool == expected


def test_who_names_a_pool_gets_that_one_or_none() -> None:
    config = a_catalogue(SMALL, TINY, LARGE)
    assert the_status(decided(config, spec={"pool": "large"})).pool == "large"
    refused = the_status(decided(config, spec={"pool": "tiny"}))
    assert refused.message.startswith("pool tiny has GPUs of 6Gi; ")


def moved(
    config: OperatorConfig, spec: dict[str, Any] | None = None, failed: str = "PodFailurePolicy"
) -> Decision:
    """What follows when the first Job ends because its GPU's memory did not do."""
    made = decided(config, spec=spec)
    pod = out_of_memory(the_status(made).pool or "")
    return decided(
        config, spec=spec, status=the_status(made), job=the_job(made, failed), pods=(pod,)
    )


def test_a_video_that_ran_out_of_memory_is_made_in_the_smallest_pool_with_more() -> None:
    config = a_catalogue(SMALL, LARGE, TINY, MIDDLE)
    decision = moved(config)
    status = the_status(decision)
    assert [type(action) for action in decision.actions] == [DeleteJob]
    assert decision.must_be_confirmed
    assert (status.phase, reason_of(status)) == (Phase.PENDING, "LargerPool")
    assert "it is made in pool middle, which has more memory" in status.message
    assert [(each.reason, each.pool) for each in status.attempts] == [
        (Reason.OUT_OF_MEMORY, "small")
    ]

    again = decided(config, status=status)
    second = the_status(again)
    assert (second.pool, second.phase, second.attempt_count) == ("middle", Phase.QUEUED, 1)
    assert second.estimate
    assert second.estimate.plan == "EncoderFirst"

    pods = (out_of_memory("middle", made=200),)
    last = the_status(decided(config, status=second, job=the_job(again, "x"), pods=pods, now=300))
    assert (last.phase, reason_of(last)) == (Phase.PENDING, "LargerPool")
    third = decided(config, status=last, now=301)
    assert the_status(third).pool == "large"
    pods = (out_of_memory("large", made=400),)
    end = the_status(
        decided(config, status=the_status(third), job=the_job(third, "x"), pods=pods, now=500)
    )
    assert (end.phase, reason_of(end)) == (Phase.FAILED, Reason.OUT_OF_MEMORY)
    assert "(the last of 3 attempts)" in end.message
    assert [each.pool for each in end.attempts] == ["small", "middle", "large"]


def test_the_move_goes_on_wherever_the_operator_was_killed() -> None:
    config = a_catalogue(SMALL, LARGE)
    made, decision = decided(config), moved(config)
    status = the_status(decision)
    going = decided(config, status=status, job=the_job(made, "PodFailurePolicy", deleting=True))
    assert (going.actions, the_status(going).attempts) == ((), status.attempts)
    assert reason_of(the_status(going)) == "LargerPool"
    still = decided(config, status=status, job=the_job(made, "PodFailurePolicy"))
    assert still.actions == decision.actions, "its status was written, its Job not yet removed"
    assert the_status(decided(config, status=the_status(going))).pool == "large"


def test_a_larger_pool_is_kept_when_its_job_is_deleted_there() -> None:
    config = a_catalogue(SMALL, LARGE)
    again = decided(config, status=the_status(moved(config)))
    pod = a_pod("pod-2", running=True, pool="large", made=200)
    running = decided(config, status=the_status(again), job=the_job(again), pods=(pod,))
    deleted = the_status(decided(config, status=the_status(running), now=400))
    assert deleted.pool == "large"
    assert [each.reason for each in deleted.attempts] == [
        Reason.OUT_OF_MEMORY,
        Reason.JOB_DELETED,
    ]


@pytest.mark.parametrize(
    ("pools", "spec"),
    [
        pytest.param((LARGE, SMALL), {}, id="no pool has more"),
        pytest.param((SMALL, LARGE), {"pool": "small"}, id="it names its pool"),
        pytest.param((SMALL, LARGE), {"backoffLimit": 0}, id="it wants one attempt"),
        pytest.param((UNKNOWN, LARGE), {}, id="what it had is not known"),
        pytest.param((SMALL, UNKNOWN), {}, id="what the other has is not known"),
    ],
)
def test_a_video_ends_where_no_pool_is_known_to_have_more(
    pools: tuple[dict[str, Any], ...], spec: dict[str, Any]
) -> None:
    decision = moved(a_catalogue(*pools), spec)
    assert decision.actions == ()
    status = the_status(decision)
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.OUT_OF_MEMORY)


def test_a_video_whose_queue_is_named_ends_in_it() -> None:
    config = a_catalogue(SMALL, LARGE, kueue=True)
    assert the_status(moved(config, {"queueName": "videos"})).phase is Phase.FAILED


def test_the_pool_s_own_queue_is_the_one_that_is_moved_to() -> None:
    pools = (SMALL | {"queueName": "small"}, LARGE | {"queueName": "large"})
    config = a_catalogue(*pools, kueue=True)
    again = decided(config, status=the_status(moved(config)))
    assert the_job(again).queue == "large"


def test_a_container_that_was_killed_for_the_host_s_memory_does_not_move() -> None:
    config = a_catalogue(SMALL, LARGE)
    made = decided(config)
    killed = a_pod(exit_code=137, kubelet_reason="OOMKilled", pool="small")
    job = the_job(made, "BackoffLimitExceeded")
    status = the_status(decided(config, status=the_status(made), job=job, pods=(killed,)))
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.OUT_OF_MEMORY)
    assert "memory limit" in status.message


def test_a_video_that_is_too_late_does_not_move() -> None:
    status = the_status(moved(a_catalogue(SMALL, LARGE), failed="DeadlineExceeded"))
    assert reason_of(status) == Reason.DEADLINE_EXCEEDED


def test_the_estimate_stays_where_the_first_status_was_never_written() -> None:
    """It waits for more news, and the next look finds the Job."""
    config = a_catalogue(SMALL)
    made = decided(config)
    status = the_status(decided(config, job=the_job(made)))
    assert status.estimate == the_status(made).estimate is not None


def test_a_job_that_left_no_run_is_not_taken_for_the_one_that_moved() -> None:
    config = a_catalogue(SMALL, LARGE)
    again = decided(config, status=the_status(moved(config)))
    job = the_job(again, "BackoffLimitExceeded")
    decision = decided(config, status=the_status(again), job=job, now=300)
    assert decision.actions == ()
    assert the_status(decision).phase is Phase.FAILED


def test_the_exit_code_alone_tells_that_memory_ran_out() -> None:
    config = a_catalogue(SMALL, LARGE)
    made = decided(config)
    silent = a_pod(exit_code=4, pool="small")
    job = the_job(made, "PodFailurePolicy")
    decision = decided(config, status=the_status(made), job=job, pods=(silent,))
    assert reason_of(the_status(decision)) == "LargerPool"


def test_a_pool_that_was_too_small_is_not_taken_again_when_it_says_nothing_more() -> None:
    status = the_status(moved(a_catalogue(SMALL, LARGE)))
    later = a_catalogue({"name": "small"}, LARGE)
    assert the_status(decided(later, status=status)).pool == "large"
