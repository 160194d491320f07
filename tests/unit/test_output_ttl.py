"""When a finished resource is due to go, as the cache knows it and as it is."""

from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_api.resource import Phase, TextToVideoJobStatus, WebhookStatus
from t2v_operator.core.decision import CreateJob
from t2v_operator.core.observe import observe_resource, settled
from t2v_operator.core.output_ttl import seconds_left, without_output
from t2v_operator.core.webhook import url_hash

from tests.unit.builders import a_config_with_a_store
from tests.unit.observations import (
    a_record_of,
    a_resource_document,
    a_status,
    at,
    conditions,
    decided,
    reason_of,
    running,
    succeeded,
)

ENDED = 50.0
"""When the runner of `succeeded()` ended."""
HOOK = "https://example.com/hook"
FLUX = {"labels": {"kustomize.toolkit.fluxcd.io/name": "films"}}


def failed() -> TextToVideoJobStatus:
    """Ended at the same time."""
    status = a_status(spec={"modelId": "no-such-model"}, now=ENDED)
    assert status.phase is Phase.FAILED
    return status


def told(status: TextToVideoJobStatus, **fields: Any) -> TextToVideoJobStatus:
    state = WebhookStatus(url_hash=url_hash(HOOK), attempts=1, **fields)
    return status.model_copy(update={"webhook": state})


def emptied() -> TextToVideoJobStatus:
    return without_output(succeeded(), 10, "Flux", at(60))


@pytest.mark.parametrize(
    ("status", "spec", "metadata", "left"),
    [
        pytest.param(succeeded(), {"outputTtlSeconds": 100}, {}, 70.0, id="its time comes"),
        pytest.param(succeeded(), {"outputTtlSeconds": 10}, {}, 0.0, id="its time is over"),
        pytest.param(succeeded(), {"outputTtlSeconds": 0}, {}, 0.0, id="it has none"),
        pytest.param(succeeded(), {}, {}, None, id="never"),
        pytest.param(succeeded(), {"outputTtlSeconds": None}, {}, None, id="never, said so"),
        pytest.param(
            succeeded(),
            {"outputTtlSeconds": 10, "outputPolicy": "Delete"},
            {},
            0.0,
            id="whatever outputPolicy says",
        ),
        pytest.param(succeeded(), {"outputTtlSeconds": 10}, FLUX, 0.0, id="kept, with files"),
        pytest.param(emptied(), {"outputTtlSeconds": 10}, FLUX, None, id="kept, without files"),
        pytest.param(emptied(), {"outputTtlSeconds": 10}, {}, 0.0, id="it was kept"),
        pytest.param(failed(), {"outputTtlSeconds": 10}, {}, 0.0, id="failed"),
        pytest.param(failed(), {"outputTtlSeconds": 10}, FLUX, None, id="failed and kept"),
        pytest.param(
            succeeded(),
            {"outputTtlSeconds": 10, "webhook": HOOK},
            {},
            None,
            id="nobody was told yet",
        ),
        pytest.param(
            told(succeeded(), next_attempt_time=at(90)),
            {"outputTtlSeconds": 10, "webhook": HOOK},
            {},
            None,
            id="it is told again",
        ),
        pytest.param(
            told(succeeded(), delivered_time=at(55)),
            {"outputTtlSeconds": 10, "webhook": HOOK},
            {},
            0.0,
            id="it was told",
        ),
        pytest.param(
            told(succeeded(), given_up_time=at(55)),
            {"outputTtlSeconds": 10, "webhook": HOOK},
            {},
            0.0,
            id="telling was given up",
        ),
    ],
)
def test_the_cache_and_the_resource_say_the_same(
    status: TextToVideoJobStatus, spec: dict[str, Any], metadata: dict[str, Any], left: Any
) -> None:
    if status.phase is Phase.FAILED:
        spec = {"modelId": "no-such-model", **spec}
    document = a_resource_document(spec=spec, status=status, record=a_record_of(status))
    document["metadata"] |= metadata
    kept = settled(document)
    assert kept
    assert seconds_left(kept, at(ENDED + 30)) == left
    assert seconds_left(observe_resource(document), at(ENDED + 30)) == left


@pytest.mark.parametrize(
    "resource",
    [
        pytest.param({"status": running()}, id="it is being made"),
        pytest.param({"status": None}, id="nobody has seen it"),
        pytest.param({"status": succeeded(), "generation": 2}, id="an edit nobody looked at"),
        pytest.param({"status": succeeded(), "deleting": True}, id="it is being deleted"),
        pytest.param({"status": TextToVideoJobStatus(phase=Phase.SUCCEEDED)}, id="no end is known"),
    ],
)
def test_what_has_not_ended_as_it_is_now_is_not_due(resource: dict[str, Any]) -> None:
    document = a_resource_document(spec={"outputTtlSeconds": 0}, **resource)
    assert seconds_left(observe_resource(document), at(1000)) is None


def test_another_request_is_not_due_because_the_earlier_one_has_ended() -> None:
    spec = {"outputTtlSeconds": 0, "prompt": "a blue square"}
    status = succeeded().model_copy(update={"observed_generation": 2})
    document = a_resource_document(spec=spec, status=status)
    assert seconds_left(observe_resource(document), at(1000)) is None


def test_what_is_kept_has_succeeded_without_files() -> None:
    before, status = succeeded(), emptied()
    assert (status.phase, status.output, status.output_url) == (Phase.SUCCEEDED, (), None)
    assert status.output_removed_time == at(60)
    assert conditions(status) == conditions(before)
    assert reason_of(status) == "Succeeded"
    assert status.message.endswith("as outputTtlSeconds (10) says; it stays because of Flux")
    assert {each.message for each in status.conditions} == {status.message}
    times = [each.last_transition_time for each in status.conditions]
    assert times == [each.last_transition_time for each in before.conditions]


def test_what_is_kept_without_files_never_runs_again_for_the_same_request() -> None:
    status = emptied()
    decision = decided(status=status, spec={"outputTtlSeconds": 10}, record=a_record_of(status))
    assert (decision.actions, decision.status) == ((), status)


def test_another_request_is_made_though_the_files_of_the_earlier_one_are_gone() -> None:
    decision = decided(status=emptied(), spec={"prompt": "a blue square"}, generation=2)
    assert [type(each) for each in decision.actions] == [CreateJob]
    assert decision.status
    assert decision.status.output_removed_time is None


def test_a_lost_status_comes_back_with_its_end_and_so_is_due_again() -> None:
    spec = {"outputTtlSeconds": 10}
    status = a_status(spec=spec, record=a_record_of(succeeded()), now=1000)
    document = a_resource_document(spec=spec, status=status)
    assert seconds_left(observe_resource(document), at(1000)) == 0.0


@pytest.mark.parametrize("fields", [{"outputTtlSeconds": 5}, {"outputPolicy": "Delete"}], ids=str)
def test_on_a_volume_what_removes_files_is_refused(fields: dict[str, Any]) -> None:
    status = a_status(spec=fields)
    assert (status.phase, reason_of(status)) == (Phase.FAILED, Reason.INVALID_REQUEST)
    assert f"{next(iter(fields))} {next(iter(fields.values()))} needs a store" in status.message
    assert a_status(a_config_with_a_store(), spec=fields).phase is Phase.QUEUED
