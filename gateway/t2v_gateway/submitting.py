"""Make a resource of a request: checked as the operator will check it, and once only.

The name is what makes "once" true: of a repeated request it is the same, so the API server itself
refuses the second, whichever gateway asks, and after a restart as well.
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from t2v_api.api_key import GRANT_ANNOTATION, KEY_LABEL, ApiKey, grant
from t2v_api.resource import API_VERSION, KIND, ObjectMeta, TextToVideoJob, TextToVideoJobSpec
from t2v_operator.cluster.client import Client
from t2v_operator.cluster.errors import UNANSWERED, ClusterError
from t2v_operator.cluster.kinds import RESOURCES
from t2v_operator.config import OperatorConfig
from t2v_operator.core.job import Manifest
from t2v_operator.core.pools import placed
from t2v_operator.core.request import resolve
from t2v_operator.errors import RequestRefused

from t2v_gateway.errors import Refused, Unavailable
from t2v_gateway.models import Models
from t2v_gateway.videos import DIGEST_ANNOTATION, FIRST_NAME, Video, Videos, is_of

MOST_TAKEN = 20
"""Names of one request that others, or the watch of another replica, may have been ahead with."""


@dataclass(frozen=True)
class Once:
    """What tells a repeated request: the client's word for it, and what was asked."""

    word: str
    """A track_id, or an Idempotency-Key."""
    request: str
    """Equal for equal bodies. Empty: the word alone says that it is the same."""
    digest: str = ""
    """Of a request that the word may not be used for anything else than; empty: it may."""


class Submitter:
    """Makes videos' resources, cancels and deletes them."""

    def __init__(
        self,
        client: Client,
        config: OperatorConfig,
        videos: Videos,
        models: Models,
        grant_secret: bytes,
        repeat_seconds: int,
    ) -> None:
        self._client = client
        self._config = config
        self._videos = videos
        self._models = models
        self._grant_secret = grant_secret
        self._repeat = timedelta(seconds=repeat_seconds)

    def derived_key(self, purpose: str) -> bytes:
        """256 bits for another use of the gateway's secret: the same on every replica."""
        return HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(self._grant_secret)

    async def submit(
        self,
        key: ApiKey,
        spec: TextToVideoJobSpec,
        once: Once | None = None,
        permit: Callable[[], AbstractContextManager[None]] = nullcontext,
        labels: Mapping[str, str] = MappingProxyType({}),
    ) -> Video:
        """The video of this request: a new one, or the one that it made before.

        `permit` is entered while a new one is made, and may refuse it. `labels`: of a new one,
        besides its key's. Raises Refused.
        """
        self._check(key, spec)
        if once is None or not self._repeat:
            with permit():
                made = await self._create(key, spec, f"v-{uuid.uuid4().hex[:16]}", labels)
            if made is None:
                raise Unavailable
            return made
        first = _name_of(key, once)
        known = [video for video in self._videos.named(key.namespace, first) if is_of(key, video)]
        fresh = [video for video in known if not self._is_over(video)]
        if fresh:
            return _same(max(fresh, key=lambda video: video.place), once)
        begin = 1 + max((_number(video.name) for video in known), default=-1)
        for number in range(begin, begin + MOST_TAKEN):
            name = f"{first}-{number}" if number else first
            found = await self._find(key.namespace, name)
            if found is None:
                with permit():
                    made = await self._create(key, spec, name, labels, once)
                # Somebody else may have been first: the same request at the same time.
                found = made or await self._find(key.namespace, name)
                if found is None:
                    raise Unavailable
            # A name can be guessed: what somebody else made of it is passed over.
            if is_of(key, found) and not self._is_over(found):
                return _same(found, once)
        raise Refused(409, "its names are taken by others; use another track_id")

    async def delete(self, video: Video) -> None:
        """With its Job. What is gone already is no fault. Raises Unavailable.

        Another one of the same name stays.
        """
        meant = {"uid": video.uid}
        options: Manifest = {"propagationPolicy": "Background", "preconditions": meant}
        try:
            left = await self._client.delete(RESOURCES, *video.key, options)
        except ClusterError as error:
            if error.status not in (404, 409):
                raise _complaint(error) from None
        except UNANSWERED:
            raise Unavailable from None
        else:
            if left.get("kind") == KIND:  # it stays until its files are removed
                self._videos.store.wrote(left)

    async def cancel(self, video: Video) -> bool:
        """Give it up and keep its record: whoever waits for it is told.

        Only as it is known here: False where it has gone on since, or is gone. Raises Refused.
        """
        seen = {"uid": video.uid, "resourceVersion": video.resource_version}
        body: Manifest = {"metadata": seen, "spec": {"cancel": True}}
        try:
            left = await self._client.patch(RESOURCES, *video.key, body)
        except ClusterError as error:
            if error.status in (404, 409):
                return False
            raise _complaint(error) from None
        except UNANSWERED:
            raise Unavailable from None
        self._videos.store.wrote(left)
        return True

    def _check(self, key: ApiKey, spec: TextToVideoJobSpec) -> None:
        """What the operator would refuse is refused at once. A model on its way is waited for."""
        if self._models.catalogue.not_ready(spec.model_id):
            return
        metadata = ObjectMeta(name="request", namespace=key.namespace)
        resource = TextToVideoJob(
            api_version="textto.video/v1alpha1", kind="TextToVideoJob", metadata=metadata, spec=spec
        )
        try:
            job = resolve(resource, self._config, catalogue=self._models.catalogue, key=key)
            placed(job, self._config)
        except RequestRefused as error:
            raise Refused(400, error.message) from None

    async def _create(
        self,
        key: ApiKey,
        spec: TextToVideoJobSpec,
        name: str,
        labels: Mapping[str, str],
        once: Once | None = None,
    ) -> Video | None:
        """None where there is one of this name. Raises Refused."""
        signed = grant(self._grant_secret, key.id, key.namespace, name, spec.request_hash)
        body: Manifest = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {
                "name": name,
                "labels": {**labels, KEY_LABEL: key.id},
                "annotations": {GRANT_ANNOTATION: signed, **_kept(once)},
            },
            "spec": spec.document(),
        }
        try:
            made = await self._client.create(RESOURCES, key.namespace, body)
        except ClusterError as error:
            if error.status == 409:
                return None
            raise _complaint(error) from None
        except UNANSWERED:
            raise Unavailable from None
        video = self._videos.read(made)
        self._videos.store.wrote(made, video)
        return video

    async def _find(self, namespace: str, name: str) -> Video | None:
        """As the API server has it: the watch may be behind. Raises Unavailable."""
        try:
            found = await self._client.get(RESOURCES, namespace, name)
        except UNANSWERED:
            raise Unavailable from None
        return self._videos.read(found) if found else None

    def _is_over(self, video: Video) -> bool:
        """Whether it is too old to be what a client means that asks again."""
        age = datetime.now(UTC) - datetime.fromisoformat(video.created)
        return age > self._repeat or video.is_being_deleted


def _kept(once: Once | None) -> dict[str, str]:
    return {DIGEST_ANNOTATION: once.digest} if once and once.digest else {}


def _same(found: Video, once: Once) -> Video:
    """What the word was used for before. Raises Refused where that was something else."""
    if once.digest != found.digest:
        raise Refused(
            422, "this Idempotency-Key went with another request; use another key for this one"
        )
    return found


def _name_of(key: ApiKey, once: Once) -> str:
    """Of the first video of a request; later ones have a number behind it."""
    said = "\n".join((key.id, once.word, once.request))
    return f"v-{hashlib.sha256(said.encode()).hexdigest()}"[:FIRST_NAME]


def _number(name: str) -> int:
    number = name[FIRST_NAME + 1 :]
    return int(number) if number.isdecimal() else 0


def _complaint(error: ClusterError) -> Refused:
    """What the API server refuses is the request's fault, or this installation's."""
    if error.status in (400, 422):
        return Refused(400, error.message)
    if error.status == 404:
        return Refused(403, "the key's namespace does not exist")
    if error.status == 403:
        return Refused(403, "no more videos can be made in this key's namespace: " + error.message)
    return Unavailable()
