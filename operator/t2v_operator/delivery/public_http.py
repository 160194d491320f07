"""POST to an address that a user wrote: nowhere but where it is allowed, and not for long.

The name is resolved once; the connection goes to the addresses that were checked.
"""

import asyncio
import socket
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.abc import AbstractResolver, ResolveResult
from t2v_api.web_address import AllowedAddresses, WebAddress, check_literal

RESOLVING = 64
"""Names that are resolved at a time: a resolver that hangs takes a thread with it."""

Resolve = Callable[[str, int], Sequence[str]]


class NotReached(Exception):
    """No answer; says what kind of fault it was, never the URL."""


class PublicClient:
    """Sends single requests; keeps no connections."""

    def __init__(self, allowed: AllowedAddresses, resolve: Resolve | None = None) -> None:
        self._allowed = allowed
        self._resolve = resolve or _resolve
        self._threads = ThreadPoolExecutor(RESOLVING, thread_name_prefix="resolve")

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], seconds: float
    ) -> tuple[int, str | None]:
        """The status and Retry-After of the answer. Redirects are not followed.

        Raises NotReached; AddressRefused where the URL leads where it must not.
        """
        address = check_literal(url, self._allowed)
        try:
            async with asyncio.timeout(seconds):
                return await self._post(address, url, body, headers)
        except TimeoutError:
            raise NotReached(f"no answer within {seconds:g} s") from None
        except (ClientError, OSError) as error:
            raise NotReached(type(error).__name__) from None

    async def _post(
        self, address: WebAddress, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[int, str | None]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._threads, self._resolve, address.host, address.port)
        checked = address.checked(found, self._allowed)
        if not checked:
            raise NotReached("the host has no address")
        connector = TCPConnector(resolver=_Fixed(checked), force_close=True)
        async with (
            ClientSession(
                connector=connector, cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=None)
            ) as session,
            session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, answer.headers.get("Retry-After")


class _Fixed(AbstractResolver):
    """Resolves to what was checked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        return


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
