"""One look at one resource: observe, decide, apply, write the status once, tell.

Whatever triggers it, it looks at everything anew; run twice, it does nothing the second time.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from t2v_operator.attempts import result_of
from t2v_operator.cluster import Cluster, JobRefused
from t2v_operator.config import OperatorConfig
from t2v_operator.decide import Decision, decide, job_refused
from t2v_operator.events import notices
from t2v_operator.observed import (
    Observed,
    ObservedJob,
    ObservedPod,
    ObservedResource,
    observe_job,
    observe_pod,
    observe_resource,
)

logger = logging.getLogger("t2v_operator")


class View(Protocol):
    """What the watches have seen so far; it may lag behind the API server a little."""

    def jobs(self, owner_uid: str) -> Sequence[ObservedJob]:
        """The Jobs that the resource owns."""

    def pods(self, job_uid: str) -> Sequence[ObservedPod]:
        """The pods of a Job."""


@dataclass(frozen=True)
class Reconciler:
    """What `reconcile` needs besides the key."""

    cluster: Cluster
    view: View
    config: OperatorConfig
    clock: Callable[[], datetime]

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Bring one resource a step further. Returns the seconds until it is due again."""
        observed = await self._observe(namespace, name)
        if observed is None:
            return None
        decision = await self._apply(observed, decide(observed, self.config))
        resource, status = observed.resource, decision.status
        if status is not None and status != resource.status:
            await self.cluster.write_status(resource, status)
            _log(resource, decision)
        for notice in notices(resource.status, status, decision.actions):
            await self.cluster.tell(resource, notice, observed.now)
        return decision.again_seconds

    async def _apply(self, observed: Observed, decision: Decision) -> Decision:
        try:
            for action in decision.actions:
                await self.cluster.perform(action, observed.resource.metadata.namespace)
        except JobRefused as refusal:
            return job_refused(observed, self.config, str(refusal))
        return decision

    async def _observe(self, namespace: str, name: str) -> Observed | None:
        """The resource as it is, its children as the watches saw them.

        What cannot be undone rests on no watch that may lag: a Job that seems missing, and a
        result that seems lost, are looked for at the API server.
        """
        document = await self.cluster.resource(namespace, name)
        if document is None:
            return None
        resource = observe_resource(document)
        owned = self.view.jobs(resource.metadata.uid)
        job = next((each for each in owned if each.name == resource.job_name), None)
        if (job is None or job.is_being_deleted) and not resource.is_finished:
            found = await self.cluster.job(namespace, resource.job_name)
            job = observe_job(found) if found else None
        pods = await self._pods(namespace, job) if job else ()
        running = next((pod for pod in reversed(pods) if pod.is_running), None)
        return Observed(
            resource=resource,
            job=job,
            earlier_jobs=tuple(each for each in owned if each.name != resource.job_name),
            pods=pods,
            progress=await self.cluster.progress(namespace, running.name) if running else None,
            trouble=await self._trouble(namespace, job, pods),
            now=self.clock(),
        )

    async def _pods(self, namespace: str, job: ObservedJob) -> tuple[ObservedPod, ...]:
        pods = self.view.pods(job.uid)
        if job.is_finished and not result_of(pods):
            listed = await self.cluster.pods(namespace, job.name)
            pods = [pod for pod in map(observe_pod, listed) if pod.job_uid == job.uid]
        return tuple(sorted(pods, key=lambda pod: (pod.created, pod.name)))

    async def _trouble(
        self, namespace: str, job: ObservedJob | None, pods: Sequence[ObservedPod]
    ) -> str:
        waits = job and not job.is_finished and not job.suspended
        if job is None or not waits or any(not pod.is_over for pod in pods):
            return ""
        return await self.cluster.trouble(namespace, job.uid)


def _log(resource: ObservedResource, decision: Decision) -> None:
    """A line for each decision that said something new. Never a prompt."""
    status = decision.status
    assert status
    before = resource.status
    same = before and (before.phase, before.message) == (status.phase, status.message)
    fields = {
        "namespace": resource.metadata.namespace,
        "resource": resource.metadata.name,
        "phase": str(status.phase),
        "reason": status.conditions[0].reason,
        "actions": [type(action).__name__ for action in decision.actions],
    }
    logger.log(
        logging.DEBUG if same else logging.INFO,
        "%s/%s %s %s: %s",
        resource.metadata.namespace,
        resource.metadata.name,
        status.phase,
        status.conditions[0].reason,
        status.message,
        extra=fields,
    )
