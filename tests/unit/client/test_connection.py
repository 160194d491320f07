"""What a request carries, over a real connection; what happens when credentials end."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorError, ClientTimeout, web
from t2v_client.access import ConnectionInfo
from t2v_client.connection import Connection, connect
from t2v_client.errors import LoginError
from t2v_client.login import Access, Login
from t2v_operator.cluster.errors import UNANSWERED
from t2v_operator.delivery.certificates import make_certificate

NAME = "api.example.com"


class Server:
    """Notes what it is asked, and answers with nothing."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.headers: list[Any] = []

    @asynccontextmanager
    async def serving(self, certificates: ssl.SSLContext | None = None) -> AsyncIterator[str]:
        """Its address."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=certificates).start()
        try:
            scheme = "https" if certificates else "http"
            yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path_qs, await request.read()))
        self.headers.append(request.headers)
        return web.json_response({})


async def ask(connection: Connection, body: Any = None) -> None:
    method = "GET" if body is None else "PUT"
    answer = await connection.request(method, "/a?b=c", body, "text/x", ClientTimeout(10))
    await answer.read()


def in_turn(*tokens: str, server: str, end: datetime) -> Login:
    """Logs in as one after the other, each of which has ended already."""
    left = iter(tokens)

    async def login() -> Access:
        await asyncio.sleep(0)
        if token := next(left, None):
            return Access(ConnectionInfo(server=server, token=token, expiration=end))
        raise LoginError("no more")

    return login


def test_a_request_carries_who_asks_what_and_how() -> None:
    server = Server()

    async def go() -> None:
        async with server.serving() as host:
            end = datetime.now(UTC) + timedelta(hours=1)
            async with connect(in_turn("one", server=host, end=end)) as connection:
                await ask(connection)
                await ask(connection, {})

    asyncio.run(go())
    assert server.requests == [("GET", "/a?b=c", b""), ("PUT", "/a?b=c", b"{}")]
    for headers in server.headers:
        assert headers["Authorization"] == "Bearer one"
        assert (headers["Accept"], headers["Content-Type"]) == ("application/json", "text/x")
        assert headers["User-Agent"] == "text-to-video-operator"


def test_credentials_that_ended_are_renewed_once_for_all_who_ask() -> None:
    server = Server()

    async def go() -> None:
        async with server.serving() as host:
            end = datetime.now(UTC) + timedelta(hours=1)
            renewed = in_turn("two", server=host, end=end)
            ended = in_turn("one", server=host, end=datetime.now(UTC))
            logins = [ended, renewed]

            async def login() -> Access:
                return await logins.pop(0)()

            async with connect(login) as connection:
                await asyncio.gather(*(ask(connection) for _ in range(5)))

    asyncio.run(go())
    assert [headers["Authorization"] for headers in server.headers] == ["Bearer two"] * 5


def test_credentials_that_cannot_be_renewed_are_an_outage_like_others() -> None:
    async def go() -> None:
        login = in_turn("one", server="http://127.0.0.1:9", end=datetime.now(UTC))
        async with connect(login) as connection:
            with pytest.raises(UNANSWERED, match="no more"):
                await ask(connection)

    asyncio.run(go())


@pytest.mark.parametrize(
    ("more", "reaches"),
    [
        ({"tls_server_name": NAME}, True),
        ({"insecure": True}, True),
        ({}, False),
        ({"tls_server_name": NAME, "ca_data": None}, False),
    ],
    ids=["the name on the certificate", "unchecked", "another name", "another authority"],
)
def test_the_servers_certificate_is_checked(
    tmp_path: Path, more: dict[str, Any], reaches: bool
) -> None:
    made = make_certificate([NAME], datetime.now(UTC))
    (tmp_path / "server.pem").write_bytes(made.certificate + made.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    name = more.pop("tls_server_name", None)

    async def go() -> None:
        async with Server().serving(context) as host:
            authority = {"ca_data": base64.b64encode(made.authority).decode()}
            access = Access(ConnectionInfo(server=host, **(authority | more)), name)

            async def login() -> Access:
                return access

            async with connect(login) as connection:
                if reaches:
                    await ask(connection)
                else:
                    with pytest.raises(ClientConnectorError):
                        await ask(connection)

    asyncio.run(go())


def test_certificates_that_cannot_be_read_end_the_start_in_words(tmp_path: Path) -> None:
    async def login() -> Access:
        return Access(ConnectionInfo(server="https://api", ca_path=tmp_path / "ca.crt"))

    async def go() -> None:
        async with connect(login):
            pass

    with pytest.raises(LoginError, match="certificates for https://api cannot be read"):
        asyncio.run(go())
