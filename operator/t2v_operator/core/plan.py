"""Read a Job's manifest back: what it makes and where that will be.

A Job may be older than the operator's configuration of today, so what is said of a video comes
from the Job that made it. Pure; the neighbour that writes these manifests is `job`.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from t2v_api.base import ContractError
from t2v_api.profile import ModelResources, ModelSource, name_all
from t2v_api.request import GenerationRequest
from t2v_api.resource import Estimate, ResolvedRequest

from t2v_operator.core.estimates.seconds import Shape, shape_of
from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.names import (
    ESTIMATE_ANNOTATION,
    NOTICES_ANNOTATION,
    OUTPUT_URL_ANNOTATION,
    POOL_LABEL,
)


@dataclass(frozen=True)
class Plan:
    """What a Job makes."""

    job_name: str
    pool: str
    request: GenerationRequest
    model_revision: str
    model_is_pinned: bool
    """Whether the revision names the same weights for ever."""
    runner_image: str
    output_url: str
    """What serves the folder that the files will stand in."""
    notices: str
    """What the user should know about how the request was understood; often nothing."""
    estimate: Estimate | None = None
    """What it was expected to take."""

    @property
    def resolved(self) -> ResolvedRequest:
        """The exact inputs, as the status shows them."""
        return ResolvedRequest(
            **dict(self.request),
            model_revision=self.model_revision,
            runner_image=self.runner_image,
        )


@dataclass(frozen=True, slots=True)
class PlanText:
    """The parts of a Job that its plan is read from, unread: a cache of many Jobs stays small."""

    job_name: str
    pool: str
    request: str
    model: str
    runner_image: str
    output_url: str
    notices: str
    estimate: str

    @property
    def gpus(self) -> int:
        """How many it holds while it runs; 0 where the parts do not tell."""
        return _gpus(self.model)

    @property
    def expected_seconds(self) -> float | None:
        """As the estimate says; None where it says nothing."""
        return _expected_seconds(self.estimate)

    @property
    def shape(self) -> Shape | None:
        """What of its request tells how long it takes; None where the parts do not tell."""
        return _shape(self.request)

    @property
    def sources(self) -> tuple[ModelSource, ...]:
        """Where its model's weights come from; none where the parts do not tell."""
        try:
            return _sources(self.model)
        except ContractError:
            return ()

    def read(self) -> Plan | None:
        """The plan; None where the parts are not what `build_job` writes."""
        try:
            sources = _sources(self.model)
            return Plan(
                job_name=self.job_name,
                pool=self.pool,
                request=GenerationRequest.parse_json(self.request),
                model_revision=name_all(*sources),
                model_is_pinned=all(each.is_pinned for each in sources),
                runner_image=self.runner_image,
                output_url=self.output_url,
                notices=self.notices,
                estimate=Estimate.parse_json(self.estimate) if self.estimate else None,
            )
        except ContractError:
            return None


def find_plan(job: Manifest) -> PlanText | None:
    """The plan's parts in a Job that `build_job` made; None where the manifest has none."""
    metadata = job["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        container = _container(job)
        environment = {each["name"]: each.get("value", "") for each in container["env"]}
        return PlanText(
            job_name=metadata["name"],
            pool=metadata["labels"][POOL_LABEL],
            request=environment["T2V_REQUEST"],
            model=_shared(environment["T2V_MODEL"]),
            runner_image=_shared(container["image"]),
            output_url=annotations[OUTPUT_URL_ANNOTATION],
            notices=annotations.get(NOTICES_ANNOTATION, ""),
            estimate=_shared(annotations.get(ESTIMATE_ANNOTATION, "")),
        )
    except (LookupError, TypeError):
        return None


def read_plan(job: Manifest) -> Plan | None:
    """The plan of a Job that `build_job` made; None where the manifest holds none that is known."""
    text = find_plan(job)
    return text.read() if text else None


def _container(job: Manifest) -> dict[str, Any]:
    containers: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    found = [each for each in containers if each["name"] == CONTAINER]
    return found[0]


@lru_cache(maxsize=64)
def _sources(model: str) -> tuple[ModelSource, ...]:
    """Its sources alone: the rest may be what an operator of another version allowed."""
    try:
        document = json.loads(model)
        both = (document["source"], document.get("motionAdapter"))
        return tuple(ModelSource.parse(each) for each in both if each)
    except (ValueError, LookupError, TypeError, AttributeError):
        raise ContractError("no source of a model") from None


@lru_cache(maxsize=64)
def _gpus(model: str) -> int:
    """Of a profile of any version."""
    try:
        resources = json.loads(model).get("resources") or {}
        gpus = resources.get("gpus", ModelResources.model_fields["gpus"].default)
    except (ValueError, AttributeError, RecursionError):
        return 0
    return gpus if isinstance(gpus, int) else 0


@lru_cache(maxsize=1024)
def _expected_seconds(estimate: str) -> float | None:
    try:
        return Estimate.parse_json(estimate).seconds if estimate else None
    except ContractError:
        return None


@lru_cache(maxsize=4096)
def _shape(request: str) -> Shape | None:
    """Of a request that is asked about at each report of its runner."""
    try:
        return shape_of(GenerationRequest.parse_json(request))
    except ContractError:
        return None


@lru_cache(maxsize=256)
def _shared(text: str) -> str:
    """The same string for equal ones: a profile stands in every Job of its model."""
    return text
