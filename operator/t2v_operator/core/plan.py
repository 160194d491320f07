"""Read a Job's manifest back: what it makes and where that will be.

A Job may be older than the operator's configuration of today, so what is said of a video comes
from the Job that made it. Pure; the neighbour that writes these manifests is `job`.
"""

from dataclasses import dataclass
from typing import Any

from t2v_api.base import ContractError
from t2v_api.profile import ModelProfile
from t2v_api.request import GenerationRequest
from t2v_api.resource import ResolvedRequest

from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.names import NOTICES_ANNOTATION, OUTPUT_URL_ANNOTATION, POOL_LABEL


@dataclass(frozen=True)
class Plan:
    """What a Job makes."""

    job_name: str
    pool: str
    request: GenerationRequest
    model_revision: str
    runner_image: str
    output_url: str
    """What serves the folder that the files will stand in."""
    notices: str
    """What the user should know about how the request was understood; often nothing."""

    @property
    def resolved(self) -> ResolvedRequest:
        """The exact inputs, as the status shows them."""
        return ResolvedRequest(
            **dict(self.request),
            model_revision=self.model_revision,
            runner_image=self.runner_image,
        )


def read_plan(job: Manifest) -> Plan | None:
    """The plan of a Job that `build_job` made; None where the manifest holds none that is known."""
    metadata = job["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        container = _container(job)
        environment = {each["name"]: each.get("value", "") for each in container["env"]}
        return Plan(
            job_name=metadata["name"],
            pool=metadata["labels"][POOL_LABEL],
            request=GenerationRequest.parse_json(environment["T2V_REQUEST"]),
            model_revision=ModelProfile.parse_json(environment["T2V_MODEL"]).revision,
            runner_image=container["image"],
            output_url=annotations[OUTPUT_URL_ANNOTATION],
            notices=annotations.get(NOTICES_ANNOTATION, ""),
        )
    except (ContractError, LookupError, TypeError):
        return None


def _container(job: Manifest) -> dict[str, Any]:
    containers: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    found = [each for each in containers if each["name"] == CONTAINER]
    return found[0]
