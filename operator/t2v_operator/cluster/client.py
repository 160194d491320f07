"""Requests to the API server, as plain JSON.

No client library's generated classes: turning each object into them and back would cost more than
all decisions (docs/design/a-connection-of-our-own.md).
"""

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol
from urllib.parse import urlencode

import orjson
from aiohttp import ClientTimeout
from t2v_client.connection import Connection

from t2v_operator.cluster.errors import ClusterError, NotLeader
from t2v_operator.cluster.kinds import (
    LEASES,
    TOKEN_ISSUER,
    TOKEN_KEYS,
    TOKEN_REVIEWS,
    VERSION,
    Kind,
)
from t2v_operator.core.job import Manifest

FIELD_MANAGER = "text-to-video-operator"
LONGEST_EVENT_BYTES = 16 * 1024 * 1024
"""etcd holds no object of that size."""
ANSWER_SECONDS = 30.0
"""How long an answer may take."""

JSON = "application/json"
KEY_SET = "application/jwk-set+json"
"""The only form in which keys are given: who accepts plain JSON alone is refused (406)."""
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"


class Calls(Protocol):
    """Who counts requests."""

    def __call__(self, verb: str, kind: Kind, status: int, seconds: float) -> None: ...


class Client:
    """The API server. Writes need `may_write`, asked before each of them."""

    def __init__(
        self, connection: Connection, may_write: Callable[[], bool], count: Calls | None = None
    ) -> None:
        self._connection = connection
        self._may_write = may_write
        self._count = count or (lambda *_: None)

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """The object as it is now; None when it is gone."""
        try:
            return await self._ask("GET", kind, kind.path(namespace, name), verb="get")
        except ClusterError as error:
            if error.status == 404:
                return None
            raise

    async def list(self, kind: Kind, namespace: str | None, **params: str) -> Manifest:
        """One page of the collection, with its metadata."""
        return await self._ask("GET", kind, kind.path(namespace), params, verb="list")

    async def create(self, kind: Kind, namespace: str, body: Manifest) -> Manifest:
        self._check()
        return await self._write("POST", "create", kind, kind.path(namespace), body)

    async def replace(
        self, kind: Kind, namespace: str | None, path: str, body: Manifest
    ) -> Manifest:
        """PUT. With a resourceVersion in `body`, 409 if the object has changed since."""
        self._check()
        return await self._write("PUT", "update", kind, kind.path(namespace, path), body)

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        path: str,
        body: Manifest,
        content_type: str = MERGE_PATCH,
    ) -> Manifest:
        self._check()
        place = kind.path(namespace, path)
        return await self._write("PATCH", "patch", kind, place, body, content_type)

    async def delete(self, kind: Kind, namespace: str, name: str, options: Manifest) -> Manifest:
        self._check()
        place = kind.path(namespace, name)
        return await self._ask("DELETE", kind, place, body=options, verb="delete")

    async def write_lease(self, namespace: str, name: str | None, body: Manifest) -> Manifest:
        """Make a Lease (without a name) or replace it: the one write that decides who may write."""
        if name is None:
            return await self._write("POST", "create", LEASES, LEASES.path(namespace), body)
        return await self._write("PUT", "update", LEASES, LEASES.path(namespace, name), body)

    async def review_token(self, token: str, audience: str) -> Manifest:
        """Whose token it is, as the API server says: the status of a TokenReview. No write."""
        spec = {"token": token, "audiences": [audience]}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        place = TOKEN_REVIEWS.path()
        answer = await self._write("POST", "create", TOKEN_REVIEWS, place, body)
        status: Manifest = answer.get("status") or {}
        return status

    async def token_keys(self) -> tuple[str, Manifest]:
        """Who issues the tokens of service accounts, and the public keys that sign them (JWKS)."""
        issuer = await self._ask("GET", TOKEN_ISSUER, TOKEN_ISSUER.path())
        keys = await self._ask("GET", TOKEN_KEYS, TOKEN_KEYS.path(), accept=KEY_SET)
        return str(issuer["issuer"]), keys

    async def version(self) -> tuple[int, int]:
        """Of Kubernetes: major, minor."""
        answer = await self._ask("GET", VERSION, VERSION.path())
        major, minor = (re.sub(r"\D.*", "", answer[name]) for name in ("major", "minor"))
        return int(major), int(minor)

    async def watch(
        self, kind: Kind, namespace: str | None, silence_seconds: float, **params: str
    ) -> AsyncIterator[Manifest]:
        """The events of the collection until the server ends them.

        Raises TimeoutError after `silence_seconds` without a byte: the connection is dead then.
        """
        timeout = ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)
        place = f"{kind.path(namespace)}?{urlencode(params | {'watch': 'true'})}"
        response = await self._connection.request("GET", place, None, JSON, timeout)
        self._count("watch", kind, response.status, 0.0)
        try:
            if response.status >= 400:
                raise _error(response.status, response.reason, await response.read())
            rest, is_too_long = bytearray(), False
            async for chunk in response.content.iter_any():
                *lines, last = chunk.split(b"\n")
                for line in lines:
                    if not is_too_long:
                        yield orjson.loads(bytes(rest) + line)
                    rest, is_too_long = bytearray(), False
                rest += last
                if len(rest) > LONGEST_EVENT_BYTES:
                    rest, is_too_long = bytearray(), True
        finally:
            response.close()

    def _check(self) -> None:
        if not self._may_write():
            raise NotLeader("the lease is not held any more")

    async def _write(
        self,
        method: str,
        verb: str,
        kind: Kind,
        path: str,
        body: Manifest,
        content_type: str = JSON,
    ) -> Manifest:
        params = {"fieldManager": FIELD_MANAGER}
        return await self._ask(method, kind, path, params, body, content_type, verb)

    async def _ask(
        self,
        method: str,
        kind: Kind,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        content_type: str = JSON,
        verb: str = "get",
        accept: str = JSON,
    ) -> Manifest:
        began = time.monotonic()
        place = f"{path}?{urlencode(params)}" if params else path
        timeout = ClientTimeout(ANSWER_SECONDS)
        answer = await self._connection.request(method, place, body, content_type, timeout, accept)
        text = await answer.read()
        self._count(verb, kind, answer.status, time.monotonic() - began)
        if answer.status >= 400:
            raise _error(answer.status, answer.reason, text)
        document: Manifest = orjson.loads(text)
        return document


def _error(status: int, reason: str | None, body: bytes) -> ClusterError:
    """In the API server's own words, where it has any."""
    try:
        answer = json.loads(body)
        return ClusterError(status, answer["reason"], answer["message"])
    except (TypeError, ValueError, LookupError):
        return ClusterError(status, reason or "", body[:300].decode(errors="replace"))
