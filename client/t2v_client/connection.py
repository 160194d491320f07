"""The connection to the API server: one session, whose credentials are renewed before they end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import (
    ClientConnectionError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
)

from t2v_client.errors import LoginError
from t2v_client.login import Access, Login, find_login

USER_AGENT = "text-to-video-operator"
READ_BYTES = 2 * 1024 * 1024
"""Buffered of each stream: events are larger than aiohttp's own 64 KiB."""


class Connection:
    """Sends requests as whoever `login` says."""

    def __init__(self, session: ClientSession, login: Login, access: Access) -> None:
        self._session = session
        self._login = login
        self._access = access
        self._renewal = asyncio.Lock()

    async def request(
        self,
        method: str,
        path: str,
        body: Any,
        content_type: str,
        timeout: ClientTimeout,
        accept: str = "application/json",
    ) -> ClientResponse:
        """The answer, whatever its status is, once its headers are there.

        `path`: with its query. `body`: becomes JSON, unless it is None.
        """
        access = await self._current()
        return await self._session.request(
            method,
            f"{access.info.server}{path}",
            headers={
                "Accept": accept,
                "Content-Type": content_type,
                **access.info.as_http_headers(),
            },
            data=None if body is None else json.dumps(body),
            timeout=timeout,
            server_hostname=access.tls_server_name,
        )

    async def _current(self) -> Access:
        if _has_ended(self._access):
            async with self._renewal:
                if _has_ended(self._access):
                    self._access = await self._renewed()
        return self._access

    async def _renewed(self) -> Access:
        try:
            return await self._login()
        except LoginError as error:
            # At the start it ends the program; later it is an outage like others.
            raise ClientConnectionError(str(error)) from error


@asynccontextmanager
async def connect(login: Login | None = None, limit: int = 0) -> AsyncIterator[Connection]:
    """As the pod's service account, else as the user's kubeconfig says, unless `login` says more.

    `limit`: so many requests at a time; without one, a renewal of the lease never waits until one
    of many streams ends. Raises LoginError.
    """
    login = login or find_login()
    access = await login()
    try:
        certificates = access.info.as_ssl_context()
    except (OSError, ValueError) as error:
        complaint = f"the certificates for {access.info.server} cannot be read: {error}"
        raise LoginError(complaint) from None
    session = ClientSession(
        connector=TCPConnector(limit=limit, ssl=certificates),
        headers={"User-Agent": USER_AGENT},
        proxy=access.info.proxy_url,
        read_bufsize=READ_BYTES,
        # aiohttp would look for a .netrc at every request.
        trust_env=False,
    )
    async with session:
        yield Connection(session, login, access)


def _has_ended(access: Access) -> bool:
    end = access.info.expiration
    return end is not None and datetime.now(UTC) >= end
