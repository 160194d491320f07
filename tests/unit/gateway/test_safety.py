"""What holds for every address: headers, other origins, sizes, slow bodies, what is counted."""

import asyncio
import base64
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.requests import Request
from t2v_api.api_key import Quota
from t2v_gateway.bodies import attributes_of, read_body, read_bytes
from t2v_gateway.endpoint.uploads import _data as data_in
from t2v_gateway.endpoint.uploads import _given as given_in
from t2v_gateway.errors import Refused
from t2v_gateway.memory import COPIES, WIDE_COPIES, Room, Sharing
from t2v_gateway.safety import HEADERS
from t2v_gateway.settings import GatewaySettings

from tests.unit.gateway.world import a_world

URL = "/api/v1/enterprise/text2video"
LIST = "/api/v1/enterprise/get_all_models"
UPLOAD = "/api/v1/enterprise/upload_image"
ORIGIN = "https://app.example.com"


@pytest.mark.parametrize("path", [URL, "/openapi.json", "/docs", "/nothing", "/api/nothing"])
def test_every_answer_carries_the_headers(path: str) -> None:
    async def asked() -> None:
        async with a_world() as world:
            for method in ("GET", "POST"):
                answer = await world.client.request(method, path)
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert answer.headers["cache-control"] == "no-store"
                assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
                assert set(map(str.lower, HEADERS)) <= set(answer.headers)
                assert "strict-transport-security" not in answer.headers

    asyncio.run(asked())


def test_who_comes_by_https_is_to_stay_there() -> None:
    async def asked() -> None:
        async with a_world(public_url="https://t2v.example.com") as world:
            answer = await world.client.get("/docs")
            assert "max-age" in answer.headers["strict-transport-security"]

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [((), None), ((ORIGIN,), ORIGIN), (("https://other.example.com",), None), (("*",), "*")],
)
def test_other_origins_ask_where_the_settings_say_so(
    origins: tuple[str, ...], allowed: str | None
) -> None:
    async def asked() -> None:
        async with a_world(cors_origins=origins) as world:
            headers = {
                "Origin": ORIGIN,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type",
            }
            before = await world.client.options(URL, headers=headers)
            assert before.headers.get("access-control-allow-origin") == allowed
            after = await world.client.post(URL, json={}, headers={"Origin": ORIGIN})
            assert after.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in after.headers

    asyncio.run(asked())


@pytest.mark.parametrize("form", ["AsDocumented", "HttpStatus"])
def test_too_large_a_body_ends_the_connection(form: str) -> None:
    async def asked() -> None:
        async with a_world(body_bytes=1024, errors=form) as world:
            for told in (True, False):
                content = b"x" * 1025

                async def pieces(content: bytes = content) -> Any:
                    yield content

                body = content if told else pieces()
                answer = await world.client.post(URL, content=body)
                assert answer.status_code == (413 if form == "HttpStatus" else 200)
                assert answer.headers["connection"] == "close"
                assert answer.json() == {
                    "status": "error",
                    "message": "the body is larger than 1024 bytes; a larger one needs the key as "
                    "a bearer token",
                }

    asyncio.run(asked())


@pytest.mark.parametrize("form", ["AsDocumented", "HttpStatus"])
def test_who_asks_too_often_is_told_when_to_come_again(form: str) -> None:
    async def asked() -> None:
        async with a_world(errors=form) as world:
            key, _ = world.keys.add(quota=Quota(requests_per_minute=1))
            answers = [
                await world.client.post(f"{URL}/../get_all_models", json={"key": key.text})
                for _ in range(2)
            ]
            assert answers[0].json()["status"] == "success"
            assert answers[1].status_code == (429 if form == "HttpStatus" else 200)
            assert answers[1].json()["status"] == "error"
            assert int(answers[1].headers["retry-after"]) > 0

    asyncio.run(asked())


def a_request(receive: Any) -> Request:
    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    with pytest.raises(Refused) as refused:
        asyncio.run(read_bytes(a_request(never), 10, seconds=0))
    assert refused.value.status == 408


def test_a_body_whose_sender_leaves_is_no_fault() -> None:
    async def gone() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(Refused, match="ended before its end"):
        asyncio.run(read_bytes(a_request(gone), 10))


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "abc"])
def test_an_odd_length_is_no_fault(length: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            answer = await world.client.post(URL, content=b"{}", headers={"Content-Length": length})
            assert 400 <= answer.status_code < 500

    asyncio.run(asked())


def test_requests_are_counted_by_route_and_never_by_what_they_say() -> None:
    async def asked() -> None:
        async with a_world() as world:
            await world.client.post("/api/v1/enterprise/fetch/123", json={"key": world.key.text})
            await world.client.post("/secret-path")
            await world.client.request("BREW", "/docs")
            counted = generate_latest(world.metrics.registry).decode()
            assert (
                't2v_gateway_requests_total{code="200",method="POST",'
                'route="/api/v1/enterprise/fetch/{video_id}"} 1.0'
            ) in counted
            assert 'method="POST",route="none"} 1.0' in counted
            assert 'method="other"' in counted
            assert "fetch/123" not in counted
            assert "secret-path" not in counted
            assert "t2v_gateway_open_requests 0.0" in counted

    asyncio.run(asked())


def test_a_fault_of_the_gateway_says_nothing_of_itself() -> None:
    async def asked() -> None:
        async with a_world() as world:

            @world.app.get("/fault")
            async def fault() -> None:
                raise ValueError("a secret")

            world.client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
            answer = await world.client.get("/fault")
            assert answer.status_code == 500
            assert "secret" not in answer.text
            counted = generate_latest(world.metrics.registry).decode()
            assert 't2v_gateway_requests_total{code="500",method="GET",route="/fault"}' in counted

    asyncio.run(asked())


def test_without_a_bearer_token_a_body_is_small() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            body = {"key": world.key.text, "more": "x" * 200_000}
            answer = await world.client.post(LIST, json=body)
            assert answer.status_code == 413
            assert "as a bearer token" in answer.json()["message"]
            bearer = {"Authorization": f"Bearer {world.key.text}"}
            assert (await world.client.post(LIST, json=body, headers=bearer)).status_code == 200
            wrong = {"Authorization": f"Bearer {world.key.text[:-4]}0000"}
            assert (await world.client.post(LIST, json=body, headers=wrong)).status_code == 401
            body["more"] = "x" * 100_000
            assert (await world.client.post(LIST, json=body)).status_code == 200

    asyncio.run(asked())


def slowly(whole: bytes, begun: asyncio.Event, go_on: asyncio.Event) -> AsyncIterator[bytes]:
    async def pieces() -> AsyncIterator[bytes]:
        yield whole[:-1]
        begun.set()
        await go_on.wait()
        yield whole[-1:]

    return pieces()


SMALL_ROOM: dict[str, Any] = {
    "errors": "HttpStatus",
    "memory_bytes": 2**20,
    "upload_bytes": 150_000,
}


def test_bodies_share_one_room_and_small_ones_have_some_left() -> None:
    async def asked() -> None:
        async with a_world(
            errors="HttpStatus", memory_bytes=2**20, upload_bytes=150_000, body_bytes=10_000
        ) as world:
            bearer = {"Authorization": f"Bearer {world.key.text}"}
            large = b'{"image": "%s"}' % (b"A" * 200_000)
            begun, go_on = asyncio.Event(), asyncio.Event()

            def sending(path: str, content: Any) -> Any:
                return world.client.post(path, content=content, headers=bearer)

            first = asyncio.create_task(sending(UPLOAD, slowly(large, begun, go_on)))
            await begun.wait()
            for path in (UPLOAD, "/v1/videos"):
                second = await sending(path, large)
                assert second.status_code == 503, second.text
                assert int(second.headers["retry-after"]) > 0
            assert (await sending(LIST, b"{}")).status_code == 200
            go_on.set()
            assert "takes no uploads" in (await first).text
            assert "takes no uploads" in (await sending(UPLOAD, large)).text

    asyncio.run(asked())


def test_what_one_body_takes_is_given_back_whatever_came_of_it() -> None:
    async def asked() -> None:
        room = Room(1000)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await read_bytes(Request(scope, receive), 10_000)

        async def ask(content: bytes) -> None:
            async def receive() -> Any:
                return {"type": "http.request", "body": content, "more_body": False}

            scope = {"type": "http", "method": "POST", "headers": []}
            await Sharing(app, room)(scope, receive, receive)

        await ask(b"x" * 300)
        assert room.taken == 0
        for content in (b"x" * 400, "ä".encode() * 100):
            with pytest.raises(Refused) as refused:
                await ask(content)
            assert (refused.value.status, room.taken) == (413, 0)
        room.taken = 900
        with pytest.raises(Refused) as refused:
            await ask(b"x" * 300)
        assert (refused.value.status, room.taken) == (503, 900)

    asyncio.run(asked())


def test_a_slow_upload_holds_up_no_other() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            bearer = {"Authorization": f"Bearer {world.key.text}"}
            begun, go_on = asyncio.Event(), asyncio.Event()
            body = b'{"image": "AAAA"}'
            first = asyncio.create_task(
                world.client.post(UPLOAD, content=slowly(body, begun, go_on), headers=bearer)
            )
            await begun.wait()
            async with asyncio.timeout(10):
                second = await world.client.post(UPLOAD, content=body, headers=bearer)
            assert "takes no uploads" in second.text
            go_on.set()
            await first

    asyncio.run(asked())


def test_the_settings_leave_room_for_one_upload() -> None:
    GatewaySettings()
    with pytest.raises(ValueError, match="memoryBytes is 268435456"):
        GatewaySettings(upload_bytes=60 * 2**20)


async def whole(text: bytes) -> Any:
    return await attributes_of(text)


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b'{"a": [' + b"[]," * 30_000 + b"0]}", "commas and brackets"),
        (b"image=" + b"%41" * 400_000, "send a multipart form"),
        (
            b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n'
            + b"A" * 2**20
            + b"A\r\n--x--",
            "maximum size",
        ),
    ],
)
def test_what_grows_while_it_is_read_is_refused(raw: bytes, told: str) -> None:
    with pytest.raises(Refused, match=told):
        asyncio.run(whole(raw))


def test_others_are_served_while_a_form_is_taken_apart() -> None:
    async def asked() -> None:
        served = 0

        async def others() -> None:
            nonlocal served
            while True:
                served += 1
                await asyncio.sleep(0)

        head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
        beside = asyncio.create_task(others())
        found = await whole(head + b"\r\n" * 200_000 + b"\r\n--x--")
        beside.cancel()
        assert len(found["image"].data) == 400_000
        assert served > 3

    asyncio.run(asked())


LETTERS = base64.b64encode(bytes(range(256)) * 40_000)
SPACED = base64.encodebytes(base64.b64decode(LETTERS)).replace(b"\n", b" ")
FORM = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("raw", "copies"),
    [
        pytest.param(b'{"image": "' + LETTERS + b'"}', COPIES, id="JSON"),
        pytest.param(b' {"image": "' + LETTERS + b'\\n"} ', COPIES, id="JSON with escapes"),
        pytest.param(b'{"image": "' + SPACED + b'"}', COPIES, id="base64 with spaces"),
        pytest.param(FORM + bytes(range(256)) * 40_000 + b"\r\n--x--", COPIES, id="a form"),
        pytest.param(
            FORM + b"\r\n" * 4_000_000 + b"\r\n--x--", COPIES, id="a form of ends of lines"
        ),
        pytest.param(' {"image": "😀'.encode() + LETTERS + b'"} ', WIDE_COPIES, id="wide letters"),
    ],
)
def test_a_body_costs_as_many_copies_as_are_counted(raw: bytes, copies: int) -> None:
    size, given = len(raw), bytearray(raw)

    async def receive() -> Any:
        piece = bytes(given[:65536])
        del given[:65536]
        return {"type": "http.request", "body": piece, "more_body": bool(given)}

    async def go() -> None:
        body = await read_body(a_request(receive), size)
        with suppress(Refused):
            data_in(*given_in(body), size)

    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        asyncio.run(go())
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert peak < copies * size * 1.1
