"""What the operator asks of the API server: the only place that knows the client.

Objects come as plain JSON. Every effect can run twice safely.
"""

import json
import logging
from collections.abc import Awaitable
from datetime import datetime
from typing import Any

from aiohttp import ClientError
from kubernetes.aio.client import ApiClient, CoreV1Api, CustomObjectsApi
from kubernetes.aio.client.exceptions import ApiException
from t2v_api.base import ContractError
from t2v_api.progress import Progress
from t2v_api.resource import API_VERSION, GROUP, KIND, PLURAL, VERSION, TextToVideoJobStatus

from t2v_operator.core.decide import Action, CreateJob, DeleteJob, PatchJob
from t2v_operator.core.events import Notice
from t2v_operator.core.job import CONTAINER, Manifest
from t2v_operator.core.names import JOB_LABEL, label_value
from t2v_operator.core.observed import ObservedResource

FIELD_MANAGER = "text-to-video-operator"
LOG_LINES = 40
"""So many of a runner's last log lines are searched for a report of its progress."""
SECONDS = 30.0
"""How long an answer may take."""
LOG_SECONDS = 5.0
"""A lost node's log must not hold up what else is to be done."""
REFUSED = (400, 403, 404, 422)
"""The API server will give the same answer next time, unless somebody changes something."""

logger = logging.getLogger("t2v_operator")

_RESOURCES = {"group": GROUP, "version": VERSION, "plural": PLURAL}
_JOBS = {"group": "batch", "version": "v1", "plural": "jobs"}


class JobRefused(Exception):
    """The API server will not have the Job as it is."""


class ClusterError(Exception):
    """The API server refused a request; it is worth another attempt."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"the API server answered {status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class Cluster:
    """The API server, for one operator."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._objects = CustomObjectsApi(client)
        self._core = CoreV1Api(client)

    async def resource(self, namespace: str, name: str) -> Manifest | None:
        """The resource as it is now; None when it is gone."""
        found: Manifest | None = await _found(
            self._objects.get_namespaced_custom_object(
                **_RESOURCES, namespace=namespace, name=name, _request_timeout=SECONDS
            )
        )
        return found

    async def is_ready(self) -> bool:
        """Whether the API server knows TextToVideoJobs."""
        try:
            await _asked(
                self._objects.list_cluster_custom_object(
                    **_RESOURCES, limit=1, _request_timeout=SECONDS
                )
            )
        except ClusterError as error:
            # An operator of some namespaces may not look at all of them; it is told so by 403.
            return error.status != 404
        return True

    async def jobs(self, namespace: str, resource_name: str) -> list[Manifest]:
        """The Jobs of resources of this name, earlier ones among them."""
        selector = f"{JOB_LABEL}={label_value(resource_name)}"
        answer: Manifest = await _asked(
            self._objects.list_namespaced_custom_object(
                **_JOBS, namespace=namespace, label_selector=selector, _request_timeout=SECONDS
            )
        )
        items: list[Manifest] = answer["items"]
        return items

    async def job(self, namespace: str, name: str) -> Manifest | None:
        """The Job as it is now; None when it is gone."""
        found: Manifest | None = await _found(
            self._objects.get_namespaced_custom_object(
                **_JOBS, namespace=namespace, name=name, _request_timeout=SECONDS
            )
        )
        return found

    async def pods(self, namespace: str, job_name: str) -> list[Manifest]:
        """The Job's pods as they are now."""
        answer = await _asked(
            self._core.list_namespaced_pod_without_preload_content(
                namespace,
                label_selector=f"batch.kubernetes.io/job-name={job_name}",
                _request_timeout=SECONDS,
            )
        )
        items: list[Manifest] = json.loads(await answer.read())["items"]
        return items

    async def trouble(self, namespace: str, job_uid: str) -> str:
        """The latest complaint of the Job controller that it can make no pod; often none."""
        answer = await _asked(
            self._core.list_namespaced_event_without_preload_content(
                namespace,
                field_selector=f"involvedObject.uid={job_uid},reason=FailedCreate",
                _request_timeout=SECONDS,
            )
        )
        items = json.loads(await answer.read())["items"]
        return str(items[-1].get("message", "")) if items else ""

    async def progress(self, namespace: str, pod_name: str) -> Progress | None:
        """The last report of the runner in its log; None when there is none to be had."""
        try:
            answer = await _asked(
                self._core.read_namespaced_pod_log_without_preload_content(
                    pod_name,
                    namespace,
                    container=CONTAINER,
                    tail_lines=LOG_LINES,
                    _request_timeout=LOG_SECONDS,
                )
            )
            lines = (await answer.read()).decode(errors="replace").splitlines()
        except (ClusterError, ClientError, TimeoutError):
            return None
        return next(filter(None, map(_progress, reversed(lines))), None)

    async def perform(self, action: Action, namespace: str) -> None:
        """Do it. Raises JobRefused when the API server will not have the Job."""
        match action:
            case CreateJob(manifest):
                await self._create_job(manifest, namespace)
            case PatchJob(name, spec):
                await self._patch_job(name, spec, namespace)
            case DeleteJob(name, uid):
                await self._delete_job(name, uid, namespace)

    async def write_status(self, resource: ObservedResource, status: TextToVideoJobStatus) -> None:
        """Apply the whole status; nothing else of the resource is touched."""
        metadata = resource.metadata
        document = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            # The uid: never the status of a namesake that came later.
            "metadata": {"name": metadata.name, "uid": metadata.uid},
            "status": status.document(),
        }
        request = await self._client.param_serialize(
            "PATCH",
            f"/apis/{API_VERSION}/namespaces/{{namespace}}/{PLURAL}/{{name}}/status",
            path_params={"namespace": metadata.namespace, "name": metadata.name},
            query_params=[("fieldManager", FIELD_MANAGER), ("force", "true")],
            # The client itself would escape what is not ASCII in pairs that YAML does not know.
            header_params={"Content-Type": "application/apply-patch+yaml; charset=utf-8"},
            body=json.dumps(document, ensure_ascii=False),
            auth_settings=["BearerToken"],
        )
        answer = await self._client.call_api(*request, _request_timeout=SECONDS)
        body = await answer.read()
        if answer.status >= 400 and answer.status != 404:
            raise _error(answer.status, answer.reason, body)

    async def tell(self, resource: ObservedResource, notice: Notice, now: datetime) -> None:
        """Write an Event about the resource."""
        metadata = resource.metadata
        time = now.isoformat(timespec="seconds").replace("+00:00", "Z")
        event = {
            "metadata": {"generateName": "text-to-video-", "namespace": metadata.namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": metadata.name,
                "namespace": metadata.namespace,
                "uid": metadata.uid,
            },
            "type": notice.kind,
            "reason": notice.reason,
            "message": notice.message,
            "source": {"component": FIELD_MANAGER},
            "reportingComponent": FIELD_MANAGER,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        await _asked(
            self._core.create_namespaced_event_without_preload_content(
                metadata.namespace, event, _request_timeout=SECONDS
            )
        )

    async def _create_job(self, manifest: Manifest, namespace: str) -> None:
        try:
            await _asked(
                self._objects.create_namespaced_custom_object(
                    **_JOBS,
                    namespace=namespace,
                    body=manifest,
                    field_manager=FIELD_MANAGER,
                    _request_timeout=SECONDS,
                )
            )
        except ClusterError as error:
            if error.status in REFUSED:
                raise JobRefused(error.message) from None
            # A Job of this name came in between: the next look sees whose it is.
            if error.reason != "AlreadyExists":
                raise

    async def _patch_job(self, name: str, spec: dict[str, Any], namespace: str) -> None:
        try:
            await _asked(
                self._objects.patch_namespaced_custom_object(
                    **_JOBS,
                    namespace=namespace,
                    name=name,
                    body={"spec": spec},
                    field_manager=FIELD_MANAGER,
                    _content_type="application/merge-patch+json",
                    _request_timeout=SECONDS,
                )
            )
        except ClusterError as error:
            # The Job goes on as it is; the next generation of the resource tries again.
            if error.status not in REFUSED:
                raise
            logger.warning("%s/%s stays as it is: %s", namespace, name, error)

    async def _delete_job(self, name: str, uid: str, namespace: str) -> None:
        try:
            await _asked(
                self._objects.delete_namespaced_custom_object(
                    **_JOBS,
                    namespace=namespace,
                    name=name,
                    body={"preconditions": {"uid": uid}, "propagationPolicy": "Background"},
                    _request_timeout=SECONDS,
                )
            )
        except ClusterError as error:
            # Gone already, or another Job of that name has come: nothing is left to delete.
            if error.status not in (404, 409):
                raise


async def _found(request: Awaitable[Any]) -> Any:
    try:
        return await _asked(request)
    except ClusterError as error:
        if error.status == 404:
            return None
        raise


async def _asked(request: Awaitable[Any]) -> Any:
    try:
        return await request
    except ApiException as error:
        raise _error(error.status, error.reason, error.body) from None


def _progress(line: str) -> Progress | None:
    if not line.startswith("{"):
        return None
    try:
        return Progress.parse_json(line)
    except ContractError:
        return None


def _error(status: int, reason: str, body: Any) -> ClusterError:
    """In the API server's own words, where it has any."""
    try:
        answer = json.loads(body)
        return ClusterError(status, answer["reason"], answer["message"])
    except (TypeError, ValueError, LookupError):
        return ClusterError(status, "", reason)
