"""What is kept of the cluster's objects: enough for every decision, little for what is done."""

from typing import Any

import pytest
from t2v_operator.core.names import RECORD_ANNOTATION
from t2v_operator.core.observe import RECORD_CHARACTERS, observe_resource, settled

from tests.unit.observations import (
    a_record_of,
    a_resource_document,
    running,
    succeeded,
)


def finished(**resource: Any) -> dict[str, Any]:
    """A resource whose video is there and whose record is left."""
    return a_resource_document(
        **{"status": succeeded(), "record": a_record_of(succeeded()), **resource}
    )


def test_of_a_finished_resource_only_a_line_is_kept() -> None:
    document = finished(spec={"prompt": "a red circle", "ttlSecondsAfterFinished": 5})
    kept = settled(document)
    assert kept
    assert (kept.phase, kept.reason, kept.model) == ("Succeeded", "Succeeded", "tiny-shapes")
    assert (kept.pool, kept.job_name) == (succeeded().pool, succeeded().job_name)
    assert (kept.completed, kept.ttl_seconds) == (succeeded().completion_time, 5)
    assert "a red circle" not in repr(kept)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(a_resource_document(), id="it is new"),
        pytest.param(a_resource_document(status=running()), id="it runs"),
        pytest.param(a_resource_document(status=succeeded()), id="its record is not left yet"),
        pytest.param(finished(generation=2), id="it was edited"),
        pytest.param(finished(deleting=True), id="it is being deleted"),
        pytest.param(
            finished(record=a_record_of(succeeded().model_copy(update={"request_hash": "f"}))),
            id="its record is of another request",
        ),
    ],
)
def test_what_may_still_need_something_is_kept_whole(document: dict[str, Any]) -> None:
    assert settled(document) is None


def test_a_status_written_without_conditions_is_not_settled() -> None:
    document = finished()
    del document["status"]["conditions"]
    assert settled(document) is None
    document = finished()
    del document["metadata"]["annotations"][RECORD_ANNOTATION]
    assert settled(document) is None


def test_large_annotations_and_managed_fields_of_a_resource_are_not_kept() -> None:
    document = a_resource_document(record=a_record_of(succeeded()))
    large = "x" * 250_000
    document["metadata"]["annotations"] |= {"example.com/large": large}
    document["metadata"]["managedFields"] = [{"manager": "kubectl", "fieldsV1": {"f:spec": large}}]
    document["metadata"]["labels"] = {"a": "b"}
    kept = observe_resource(document)
    assert len(repr(kept)) < 10_000
    assert kept.record == a_record_of(succeeded())
    assert kept.metadata.name == "red-circle"


def test_a_record_that_is_larger_than_any_of_ours_is_not_kept() -> None:
    kept = observe_resource(a_resource_document(record="x" * (RECORD_CHARACTERS + 1)))
    assert kept.record is None
    assert len(repr(kept)) < 10_000
