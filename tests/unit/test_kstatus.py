"""What Flux, Argo and kpt make of a resource, by kstatus's rules for kinds it does not know.

https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
"""

from typing import Any

import pytest
from t2v_operator.core.decide import decide, refused
from t2v_operator.core.decision import Refusal
from t2v_operator.core.output_ttl import without_output
from t2v_operator.crd import VIDEOS, custom_resource_definition

from tests.unit.builders import a_config
from tests.unit.observations import (
    START,
    a_resource_document,
    a_status,
    an_observation,
    queued,
    running,
    succeeded,
)


def kstatus(resource: dict[str, Any]) -> str:
    metadata, status = resource["metadata"], resource.get("status") or {}
    if "deletionTimestamp" in metadata:
        return "Terminating"
    if status.get("observedGeneration", metadata["generation"]) != metadata["generation"]:
        return "InProgress"
    holds = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if holds.get("Reconciling") == "True":
        return "InProgress"
    if holds.get("Stalled") == "True":
        return "Failed"
    return "InProgress" if holds.get("Ready", "True") != "True" else "Current"


def full_quota() -> Any:
    observed = an_observation()
    decision = decide(observed, a_config())
    refusal = Refusal(decision.actions[0], "exceeded quota: small", is_final=True)
    return refused(observed, decision, refusal, a_config()).status


@pytest.mark.parametrize(
    ("status", "result"),
    [
        pytest.param(queued(), "InProgress", id="queued"),
        pytest.param(running(), "InProgress", id="it runs"),
        pytest.param(full_quota(), "InProgress", id="the quota is full"),
        pytest.param(succeeded(), "Current", id="the video is there"),
        pytest.param(
            without_output(succeeded(), 5, "Flux", START), "Current", id="its files are gone"
        ),
        pytest.param(a_status(spec={"modelId": "other"}), "Failed", id="refused"),
        pytest.param(a_status(spec={"queueName": "none"}), "Failed", id="no such queue"),
    ],
)
def test_a_status_reads_as_what_it_is(status: Any, result: str) -> None:
    assert kstatus(a_resource_document(status=status)) == result


def test_a_resource_that_no_operator_has_seen_is_not_current() -> None:
    schema = custom_resource_definition(VIDEOS)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    default = schema["properties"]["status"]["default"]
    bare = a_resource_document() | {"status": default}
    assert default == {"observedGeneration": -1}
    assert kstatus(bare) == "InProgress"
    assert kstatus({"metadata": bare["metadata"]}) == "Current", "hence the default"


def test_an_edit_is_not_current_before_it_is_seen() -> None:
    assert kstatus(a_resource_document(status=succeeded(), generation=2)) == "InProgress"
