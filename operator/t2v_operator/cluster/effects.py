"""What the operator does in the cluster. Every effect can run twice safely.

What the API server answers to a write goes into the cache, so the watch need not tell it again.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from t2v_api.resource import API_VERSION, KIND, ObjectMeta, TextToVideoJobStatus
from t2v_api.result import GenerationFailure, GenerationResult

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import STRATEGIC_MERGE_PATCH, Client
from t2v_operator.cluster.errors import ActionRefused, ClusterError, JobExists
from t2v_operator.cluster.kinds import (
    EVENTS,
    JOBS,
    PODS,
    RESOURCES,
    VIDEO_MODELS,
    WORKLOAD_PRIORITY_CLASSES,
    WORKLOADS,
)
from t2v_operator.core.decision import (
    Action,
    CreateJob,
    DeleteJob,
    PatchJob,
    PatchWorkload,
    ReplacePod,
)
from t2v_operator.core.job import Manifest
from t2v_operator.core.models.observe import observe_model
from t2v_operator.core.models.observed import ObservedModel
from t2v_operator.core.names import (
    JOB_LABEL,
    RECORD_ANNOTATION,
    RESULT_ANNOTATION,
    label_value,
)
from t2v_operator.core.observe import observe_job, observe_pod, observe_resource, version_of
from t2v_operator.core.observed import ObservedJob, ObservedPod, ObservedResource
from t2v_operator.core.record import Record
from t2v_operator.core.trace import trace_id
from t2v_operator.delivery.links import with_links
from t2v_operator.delivery.stores import Store


class Effects:
    """Reads and writes for single resources."""

    def __init__(
        self,
        client: Client,
        cache: Cache,
        store: Store | None = None,
        sends_traces: bool = False,
    ) -> None:
        self._client = client
        self._cache = cache
        self._store = store
        self._sends_traces = sends_traces

    async def resource(self, namespace: str, name: str) -> ObservedResource | None:
        """The resource as the API server has it now; None when it is gone."""
        document = await self._client.get(RESOURCES, namespace, name)
        return observe_resource(document) if document else None

    async def model(self, name: str) -> ObservedModel | None:
        """The VideoModel as the API server has it now; None where there is none."""
        document = await self._client.get(VIDEO_MODELS, None, name)
        return observe_model(document) if document else None

    async def jobs(self, namespace: str, resource_name: str) -> list[ObservedJob]:
        """The Jobs of resources of this name as the API server has them now."""
        selector = f"{JOB_LABEL}={label_value(resource_name)}"
        answer = await self._client.list(JOBS, namespace, labelSelector=selector)
        return [observe_job(document) for document in answer["items"]]

    async def pods(self, namespace: str, job: ObservedJob) -> tuple[ObservedPod, ...]:
        """The Job's pods as the API server has them now, the oldest first."""
        selector = f"batch.kubernetes.io/job-name={job.name}"
        answer = await self._client.list(PODS, namespace, labelSelector=selector)
        pods = (observe_pod(document) for document in answer["items"])
        ours = (pod for pod in pods if pod.job_uid == job.uid)
        return tuple(sorted(ours, key=lambda pod: (pod.created, pod.name)))

    async def complaint(self, namespace: str, uid: str) -> str:
        """The latest warning about an object, from the cluster's Events; often none."""
        selector = f"involvedObject.uid={uid},type=Warning"
        answer = await self._client.list(EVENTS, namespace, fieldSelector=selector)
        latest = sorted(answer["items"], key=_event_time)
        return str(latest[-1].get("message", "")) if latest else ""

    async def has_queue_priority(self, name: str) -> bool:
        """Whether the WorkloadPriorityClass is there; yes, where we may not ask."""
        try:
            return await self._client.get(WORKLOAD_PRIORITY_CLASSES, None, name) is not None
        except ClusterError as error:
            if error.status == 403:
                return True
            raise

    async def perform(self, action: Action, namespace: str) -> None:
        """Do it. Raises ActionRefused when the API server does not, JobExists where it need not."""
        try:
            match action:
                case CreateJob(manifest):
                    await self._create_job(manifest, namespace)
                case PatchJob(name, patch):
                    # Its answer may hold what somebody else did meanwhile, which is news: the
                    # watch tells it.
                    await self._client.patch(JOBS, namespace, name, patch)
                case PatchWorkload(name, is_active):
                    body = {"spec": {"active": is_active}}
                    await self._client.patch(WORKLOADS, namespace, name, body)
                case DeleteJob(name, uid):
                    await self.delete_job(name, uid, namespace)
                case ReplacePod(name, uid):
                    await replace_pod(self._client, name, uid, namespace)
        except ClusterError as error:
            # Another look finds what came in between; the rest is worth telling.
            if error.status == 409:
                raise
            raise ActionRefused(error.refusal(action)) from error

    async def write_status(
        self, resource: ObservedResource, status: TextToVideoJobStatus
    ) -> ObservedResource | None:
        """Write the whole status, if the resource is still as it was seen; 409 if it is not.

        The store's names become links, and the request gets the id of its trace. Returns the
        resource with it; None when it is gone.
        """
        metadata = resource.metadata
        status = await with_links(status, metadata.namespace, self._store)
        if self._sends_traces and status.request_hash and status.trace_id is None:
            found = trace_id(metadata.uid, status.request_hash)
            status = status.model_copy(update={"trace_id": found})
        answer = await put_status(self._client, metadata, status)
        if answer is None:
            return None
        # The version was the one that was seen: nothing but the status has changed.
        version = {"resource_version": answer["metadata"]["resourceVersion"]}
        written = replace(resource, status=status, metadata=metadata.model_copy(update=version))
        self._cache.resources.wrote(answer, written)
        return written

    async def keep_outcome(
        self, namespace: str, job_name: str, outcome: GenerationResult | GenerationFailure
    ) -> None:
        """Note on the Job what its runner handed in."""
        patch = {"metadata": {"annotations": {RESULT_ANNOTATION: outcome.json_line()}}}
        try:
            await self._client.patch(JOBS, namespace, job_name, patch)
        except ClusterError as error:
            if error.status != 404:
                raise

    async def leave_record(self, resource: ObservedResource, record: Record) -> None:
        """Write the record onto the resource."""
        metadata = resource.metadata
        body = {
            "metadata": {
                "uid": metadata.uid,
                "resourceVersion": metadata.resource_version,
                "annotations": {RECORD_ANNOTATION: record.json_line()},
            }
        }
        try:
            answer = await self._client.patch(RESOURCES, metadata.namespace, metadata.name, body)
        except ClusterError as error:
            if error.status == 404:
                return
            raise
        self._cache.resources.wrote(answer)

    async def write_finalizers(
        self, metadata: Manifest, finalizers: Sequence[str]
    ) -> Manifest | None:
        """Of a resource with this metadata: 409 if it has changed. None when it is gone."""
        seen = {name: metadata[name] for name in ("uid", "resourceVersion")}
        body = {"metadata": {**seen, "finalizers": list(finalizers)}}
        namespace, name = metadata["namespace"], metadata["name"]
        try:
            answer = await self._client.patch(RESOURCES, namespace, name, body)
        except ClusterError as error:
            if error.status == 404:
                return None
            raise
        self._cache.resources.wrote(answer)
        return answer

    async def delete_resource(self, metadata: Manifest) -> None:
        """The one with this metadata, and no later one: 409 if it has changed.

        What follows of it, such as the removal of its files, the watch tells.
        """
        seen = {name: metadata[name] for name in ("uid", "resourceVersion")}
        namespace, name = metadata["namespace"], metadata["name"]
        try:
            await self._client.delete(RESOURCES, namespace, name, {"preconditions": seen})
        except ClusterError as error:
            if error.status != 404:
                raise

    async def _create_job(self, manifest: Manifest, namespace: str) -> None:
        try:
            answer = await self._client.create(JOBS, namespace, manifest)
        except ClusterError as error:
            if error.reason != "AlreadyExists":
                raise
            # The cache lags, or does not watch what has not our label.
            found = await self._client.get(JOBS, namespace, manifest["metadata"]["name"])
            if found is None:
                raise
            self._cache.jobs.wrote(found)
            raise JobExists(observe_job(found)) from None
        self._cache.jobs.wrote(answer)

    async def delete_job(self, name: str, uid: str, namespace: str) -> None:
        """In the foreground: the Job goes after its pods, so what follows it finds a free GPU."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        try:
            answer = await self._client.delete(JOBS, namespace, name, options)
        except ClusterError as error:
            # Gone already, or another Job of that name has come: nothing is left to delete.
            if error.status not in (404, 409):
                raise
            return
        if answer.get("kind") == "Job" and version_of(answer):
            self._cache.jobs.wrote(answer)


async def put_status(
    client: Client, metadata: ObjectMeta, status: TextToVideoJobStatus
) -> Manifest | None:
    """Write the status of the resource as it was seen, and no later one: 409 if it has changed.

    Returns the API server's answer; None when the resource is gone.
    """
    body = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": metadata.name,
            "namespace": metadata.namespace,
            "uid": metadata.uid,
            "resourceVersion": metadata.resource_version,
        },
        "status": status.document(),
    }
    try:
        return await client.replace(RESOURCES, metadata.namespace, f"{metadata.name}/status", body)
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


async def replace_pod(client: Client, name: str, uid: str, namespace: str) -> None:
    """As the pod garbage collector does it: failed by a disruption, then gone at once.

    A pod that only went would be waited for: the Job replaces failed pods.
    """
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": "NodeLost",
        "message": "the pod's node does not answer",
    }
    status: dict[str, Any] = {"phase": "Failed", "conditions": [condition]}
    body = {"metadata": {"uid": uid}, "status": status}
    options = {"preconditions": {"uid": uid}, "gracePeriodSeconds": 0}
    try:
        await client.patch(PODS, namespace, f"{name}/status", body, STRATEGIC_MERGE_PATCH)
        await client.delete(PODS, namespace, name, options)
    except ClusterError as error:
        if error.status not in (404, 409):
            raise


def _event_time(event: Manifest) -> str:
    return str(
        event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
