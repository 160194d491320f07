"""Who asks the report server: the API server reviews the token, the cache knows the pod's Job.

A token is worth nothing without its pod: one that is over, or whose Job is another request's by
now, is no caller any more.
"""

import hashlib
import time
from dataclasses import dataclass

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.cluster.kinds import PODS
from t2v_operator.core.observe import observe_pod
from t2v_operator.core.observed import ObservedJob, ObservedPod, ObservedResource, Settled
from t2v_operator.core.places import key_in_store
from t2v_operator.delivery.report_server import Caller, UnknownCaller

REMEMBERED_SECONDS = 120.0
"""How long a review holds. Tokens live for an hour; their pods are looked at each time."""
REFUSED_SECONDS = 10.0
MOST_REMEMBERED = 5000

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"


@dataclass(frozen=True)
class _Reviewed:
    until: float
    namespace: str = ""
    pod: str = ""
    uid: str = ""


class Callers:
    """Finds out who shows a token."""

    def __init__(self, client: Client, cache: Cache, audience: str, prefix: str) -> None:
        """`prefix` begins every key of the store."""
        self._client = client
        self._cache = cache
        self._audience = audience
        self._prefix = prefix
        self._reviewed: dict[str, _Reviewed] = {}

    async def identify(self, token: str) -> Caller:
        """Raises UnknownCaller."""
        found = await self._review(token)
        if not found.pod:
            raise UnknownCaller("the token is not one of a pod that may report here")
        pod = await self._pod(found)
        key = self._cache.owner_of(found.namespace, pod.job_uid) if pod else None
        resource = self._cache.resources.get(key) if key else None
        if pod is None or key is None or resource is None or pod.is_over:
            raise UnknownCaller(f"pod {found.pod} makes no video of a TextToVideoJob")
        job = next((j for j in self._cache.jobs_of(key) if j.uid == pod.job_uid), None)
        if job is None or isinstance(resource, Settled) or not _is_wanted(job, resource):
            raise UnknownCaller(f"pod {found.pod} makes a video that is not wanted any more")
        place = job.plan_text.output_url if job.plan_text else ""
        folder = key_in_store(place, found.namespace, self._prefix)
        return Caller(found.namespace, found.pod, key[1], job.name, folder)

    async def _pod(self, found: _Reviewed) -> ObservedPod | None:
        """The very pod that the token is bound to; asked for where the watch is behind."""
        pod = self._cache.pods.get((found.namespace, found.pod))
        if pod is None or pod.uid != found.uid:
            try:
                document = await self._client.get(PODS, found.namespace, found.pod)
            except UNANSWERED:
                raise UnknownCaller("the API server does not answer; ask again") from None
            pod = observe_pod(document) if document else None
        return pod if pod and pod.uid == found.uid else None

    async def _review(self, token: str) -> _Reviewed:
        digest, now = hashlib.sha256(token.encode()).hexdigest(), time.monotonic()
        known = self._reviewed.get(digest)
        if known and known.until > now:
            return known
        try:
            status = await self._client.review_token(token, self._audience)
        except UNANSWERED:
            raise UnknownCaller("the API server does not answer; ask again") from None
        self._reviewed[digest] = reviewed = _read(status, self._audience, now)
        while len(self._reviewed) > MOST_REMEMBERED:
            del self._reviewed[next(iter(self._reviewed))]
        return reviewed


def _is_wanted(job: ObservedJob, resource: ObservedResource) -> bool:
    if resource.is_being_deleted:
        return False
    is_its = job.owner_uid == resource.metadata.uid and job.name == resource.job_name
    return is_its and not job.is_being_deleted


def _read(status: dict[str, object], audience: str, now: float) -> _Reviewed:
    """An authenticator that knows no audiences answers without them: that is a no."""
    user, audiences = status.get("user"), status.get("audiences")
    if not status.get("authenticated") or not isinstance(user, dict):
        return _Reviewed(now + REFUSED_SECONDS)
    if not isinstance(audiences, list) or audience not in audiences:
        return _Reviewed(now + REFUSED_SECONDS)
    kind, _, account = str(user.get("username", "")).partition("system:serviceaccount:")
    namespace, _, _ = account.partition(":")
    extra = user.get("extra") or {}
    pod, uid = (next(iter(extra.get(name) or ()), "") for name in (POD_NAME, POD_UID))
    if kind or not (namespace and pod and uid):
        return _Reviewed(now + REFUSED_SECONDS)
    return _Reviewed(now + REMEMBERED_SECONDS, namespace, pod, uid)
