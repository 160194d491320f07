"""Requests to the API server, as plain JSON, with the errors of this package."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import orjson
from aiohttp import ClientError, ClientResponse, ClientTimeout

from t2v_client.connection import Connection
from t2v_client.errors import Unreachable, server_error

Document = dict[str, Any]
ANSWER_SECONDS = 30.0
MERGE_PATCH = "application/merge-patch+json"


class Api:
    """The API server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        body: Document | None = None,
        content_type: str = "application/json",
    ) -> Document:
        """Its answer. Raises ServerError, Unreachable."""
        timeout = ClientTimeout(ANSWER_SECONDS)
        async with self._answer(method, path, params, body, content_type, timeout) as answer:
            document: Document = orjson.loads(await answer.read())
            return document

    async def text(self, path: str, params: Mapping[str, str] | None = None) -> str:
        """An answer that is no JSON, such as metrics. Raises ServerError, Unreachable."""
        timeout = ClientTimeout(ANSWER_SECONDS)
        async with self._answer("GET", path, params, None, "text/plain", timeout) as answer:
            return await answer.text(errors="replace")

    async def lines(
        self, path: str, params: Mapping[str, str], silence_seconds: float | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The lines of an answer that goes on, without their ends, until the server ends it.

        `silence_seconds`: without a byte for so long, the connection counts as dead.
        Raises ServerError, Unreachable.
        """
        timeout = ClientTimeout(total=None, sock_connect=10, sock_read=silence_seconds)
        async with self._answer("GET", path, params, None, "application/json", timeout) as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield line
            if rest:
                yield rest

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: Document | None,
        content_type: str,
        timeout: ClientTimeout,
    ) -> AsyncIterator[ClientResponse]:
        place = f"{path}?{urlencode(params)}" if params else path
        try:
            answer = await self._connection.request(method, place, body, content_type, timeout)
            try:
                if answer.status >= 400:
                    raise server_error(answer.status, answer.reason or "", await _said(answer))
                yield answer
            finally:
                answer.close()
        except (ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"Unable to connect to the server: {_why(error)}") from error


async def _said(answer: ClientResponse) -> Any:
    text = await answer.read()
    try:
        return orjson.loads(text)
    except ValueError:
        return text.decode(errors="replace")


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
