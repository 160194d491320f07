"""One look at one resource: observe, decide, apply, write the status once, tell.

Whatever triggers it, it looks at everything anew; run twice, it does nothing the second time.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from t2v_api.progress import Progress

from t2v_operator.cluster.client import Cluster, JobRefused
from t2v_operator.config import OperatorConfig
from t2v_operator.core.decide import PROGRESS_SECONDS, Decision, decide, job_refused
from t2v_operator.core.events import notices
from t2v_operator.core.observed import (
    Observed,
    ObservedJob,
    ObservedPod,
    ObservedResource,
    observe_job,
    observe_pod,
    observe_resource,
    running_pod,
)

logger = logging.getLogger("t2v_operator")


@dataclass(frozen=True)
class Reconciler:
    """What `reconcile` needs besides the key."""

    cluster: Cluster
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
            return job_refused(observed, decision, str(refusal))
        return decision

    async def _observe(self, namespace: str, name: str) -> Observed | None:
        """The resource and its children as they are now.

        They are read anew each time: a watch only says that something changed, and may lag.
        """
        document = await self.cluster.resource(namespace, name)
        if document is None:
            return None
        resource, now = observe_resource(document), self.clock()
        listed = map(observe_job, await self.cluster.jobs(namespace, name))
        owned = [job for job in listed if job.owner_uid == resource.metadata.uid]
        job = next((each for each in owned if each.name == resource.job_name), None)
        if job is None and not resource.is_finished:
            found = await self.cluster.job(namespace, resource.job_name)
            job = observe_job(found) if found else None
        is_open = job is not None and not resource.is_finished
        pods = await self._pods(namespace, job) if job and is_open else ()
        return Observed(
            resource=resource,
            job=job,
            earlier_jobs=tuple(each for each in owned if each.name != resource.job_name),
            pods=pods,
            progress=await self._progress(resource, pods, now),
            trouble=await self._trouble(namespace, job, pods) if job and is_open else "",
            now=now,
        )

    async def _pods(self, namespace: str, job: ObservedJob) -> tuple[ObservedPod, ...]:
        pods = map(observe_pod, await self.cluster.pods(namespace, job.name))
        ours = (pod for pod in pods if pod.job_uid == job.uid)
        return tuple(sorted(ours, key=lambda pod: (pod.created, pod.name)))

    async def _progress(
        self, resource: ObservedResource, pods: Sequence[ObservedPod], now: datetime
    ) -> Progress | None:
        """The running pod's latest report, if the one before is old enough.

        Each one is written to the status, and that wakes us again.
        """
        running = running_pod(pods)
        before = resource.status.progress if resource.status else None
        age = (now - before.updated_time).total_seconds() if before else PROGRESS_SECONDS
        if running is None or age < PROGRESS_SECONDS:
            return None
        return await self.cluster.progress(resource.metadata.namespace, running.name)

    async def _trouble(self, namespace: str, job: ObservedJob, pods: Sequence[ObservedPod]) -> str:
        if job.is_finished or job.suspended or any(not pod.is_over for pod in pods):
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
