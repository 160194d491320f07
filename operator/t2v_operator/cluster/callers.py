"""Who asks the report server: `tokens` knows the token's pod, the cache knows the pod's Job.

A token is worth nothing without its pod: one that is over, or whose Job is another request's by
now, is no caller any more.
"""

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TypeVar

from t2v_api.reasons import Reason

from t2v_operator.cluster.cache import Cache
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.cluster.kinds import PODS
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.cluster.reuse import may_be_reused
from t2v_operator.cluster.tokens import BoundPod, ReviewedTokens, Tokens, VerifiedTokens
from t2v_operator.config import OperatorConfig
from t2v_operator.core.allowance import Allowance
from t2v_operator.core.observe import observe_pod
from t2v_operator.core.observed import ObservedJob, ObservedPod, ObservedResource, Settled
from t2v_operator.core.places import key_in_store, key_of_init_media
from t2v_operator.core.status import reason_of
from t2v_operator.delivery.report_server import Caller, CannotTell, UnknownCaller

REMEMBERED_SECONDS = 120.0
"""How long a review holds. Tokens live for an hour; their pods are looked at each time."""
REFUSED_SECONDS = 10.0
MOST_REMEMBERED = 5000
QUESTIONS_PER_SECOND, QUESTIONS_BURST = 20.0, 300.0
"""To the API server, about tokens and pods that are not known yet."""

NO_POD = "the token is not one of a pod that may report here"

Known = TypeVar("Known")


@dataclass(frozen=True)
class _Reviewed:
    until: float
    pod: BoundPod


class Callers:
    """Finds out who shows a token."""

    def __init__(
        self, client: Client, cache: Cache, models: ModelCache, config: OperatorConfig
    ) -> None:
        self._client = client
        self._cache = cache
        self._models = models
        self._config = config
        self._audience = config.report_server.audience
        way = ReviewedTokens if config.report_server.token_review else VerifiedTokens
        self._tokens: Tokens = way(client, self._audience)
        self._reviewed: dict[str, _Reviewed] = {}
        self._refused: dict[str, float] = {}
        self._questions = Allowance(QUESTIONS_PER_SECOND, QUESTIONS_BURST)

    async def identify(self, token: str) -> Caller:
        """Raises UnknownCaller, CannotTell."""
        digest, now = hashlib.sha256(token.encode()).hexdigest(), time.monotonic()
        if self._refused.get(digest, 0.0) > now:
            raise UnknownCaller(NO_POD)
        try:
            return await self._identify(token, digest)
        except UnknownCaller:
            _remember(self._refused, digest, now + REFUSED_SECONDS)
            raise

    async def _identify(self, token: str, digest: str) -> Caller:
        found = await self._review(token, digest)
        pod = await self._pod(found)
        fetched = self._models.fetched_by(found.namespace, pod.job_uid) if pod else None
        if pod and fetched and not pod.is_over:
            model, prefetch = fetched
            return Caller(
                found.namespace, found.name, "", prefetch.name, None, may_reuse=False, fetches=model
            )
        key = self._cache.owner_of(found.namespace, pod.job_uid) if pod else None
        resource = self._cache.resources.get(key) if key else None
        if pod is None or key is None or resource is None or pod.is_over:
            raise UnknownCaller(f"pod {found.name} makes no video of a TextToVideoJob")
        job = next((j for j in self._cache.jobs_of(key) if j.uid == pod.job_uid), None)
        place = job.plan_text.output_url if job and job.plan_text else ""
        folder = key_in_store(place, found.namespace, self._config.storage.prefix)
        if job and _was_cancelled(job, resource):
            names = (found.namespace, found.name, key[1], job.name)
            return Caller(*names, folder, may_reuse=False, is_stopped=True)
        if job is None or isinstance(resource, Settled) or not _is_wanted(job, resource):
            raise UnknownCaller(f"pod {found.name} makes a video that is not wanted any more")
        # The Job has the name of just this request: what the resource names, its pod may read.
        media, plan = resource.spec.media if resource.spec else (), job.plan
        may_reuse = plan is not None and may_be_reused(plan, self._config)
        keys = {url: key_of_init_media(url, found.namespace, self._config) for url in media}
        init_media = {name: key for name, key in keys.items() if key}
        return Caller(found.namespace, found.name, key[1], job.name, folder, may_reuse, init_media)

    async def _pod(self, found: BoundPod) -> ObservedPod | None:
        """The very pod that the token is bound to; asked for where the watch is behind."""
        key = (found.namespace, found.name)
        pod = self._cache.pods.get(key) or self._models.pods.get(key)
        if pod is None or pod.uid != found.uid:
            self._may_ask()
            try:
                document = await self._client.get(PODS, found.namespace, found.name)
            except UNANSWERED:
                raise CannotTell("the API server does not answer") from None
            pod = observe_pod(document) if document else None
        return pod if pod and pod.uid == found.uid else None

    def _may_ask(self) -> None:
        """Whoever makes up tokens must not keep the API server busy. Raises CannotTell."""
        if not self._questions.take(time.monotonic()):
            raise CannotTell("too many unknown tokens just now")

    async def _review(self, token: str, digest: str) -> BoundPod:
        now = time.monotonic()
        known = self._reviewed.get(digest)
        if known and known.until > now:
            return known.pod
        if not _may_be_ours(token, self._audience):
            raise UnknownCaller(NO_POD)
        self._may_ask()
        try:
            pod = await self._tokens.pod_of(token)
        except UNANSWERED:
            raise CannotTell("the API server does not answer") from None
        if pod is None:
            raise UnknownCaller(NO_POD)
        _remember(self._reviewed, digest, _Reviewed(now + REMEMBERED_SECONDS, pod))
        return pod


def _remember(known: dict[str, Known], digest: str, what: Known) -> None:
    known[digest] = what
    while len(known) > MOST_REMEMBERED:
        del known[next(iter(known))]


def _may_be_ours(token: str, audience: str) -> bool:
    """What a token says of itself, unproven: most of what is made up is seen without asking."""
    try:
        part = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        audiences, kubernetes = claims["aud"], claims["kubernetes.io"]
        return audience in audiences and bool(kubernetes["pod"]["uid"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return False


def _is_wanted(job: ObservedJob, resource: ObservedResource) -> bool:
    if resource.is_being_deleted:
        return False
    is_its = job.owner_uid == resource.metadata.uid and job.name == resource.job_name
    return is_its and not job.is_being_deleted


def _was_cancelled(job: ObservedJob, resource: ObservedResource | Settled) -> bool:
    """Its pod is being stopped, or will be: what it has drawn may be gone on from."""
    match resource:
        case Settled(uid=uid, job_name=name, reason=reason):
            pass
        case ObservedResource(metadata=metadata, job_name=name, status=status):
            uid, reason = metadata.uid, reason_of(status) if resource.is_finished else ""
    return reason == Reason.CANCELLED and (job.owner_uid, job.name) == (uid, name)
