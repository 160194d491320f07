"""What holds for every address: headers, other origins, sizes, slow bodies, what is counted."""

import asyncio
from typing import Any

import pytest
from prometheus_client import generate_latest
from starlette.requests import Request
from t2v_api.api_key import Quota
from t2v_gateway.bodies import read_bytes
from t2v_gateway.errors import Refused
from t2v_gateway.safety import HEADERS

from tests.unit.gateway.world import a_world

URL = "/api/v1/enterprise/text2video"
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
                    "message": "the body is larger than 1024 bytes",
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
