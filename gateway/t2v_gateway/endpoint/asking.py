"""What every address of the endpoint begins with: a body is read, and a key found in it."""

from dataclasses import dataclass

from starlette.requests import Request
from t2v_api.api_key import ApiKey, Right

from t2v_gateway.bodies import BODY_SECONDS, Body, read_body
from t2v_gateway.endpoint.values import is_absent
from t2v_gateway.errors import Refused
from t2v_gateway.gateway import Gateway
from t2v_gateway.memory import SMALL_BYTES

IN_THE_ADDRESS = ("key", "api_key", "apikey", "token", "access_token")


@dataclass(frozen=True)
class Asked:
    """A request of somebody who may ask."""

    body: Body
    key: ApiKey


async def asked(
    request: Request,
    gateway: Gateway,
    right: Right = Right.USE,
    most: int | None = None,
    seconds: float = BODY_SECONDS,
) -> Asked:
    """`most`, `seconds`: of the body of whoever shows the key before it. Raises Refused."""
    refuse_keys_in_the_address(request)
    bearer = key_in({}, request)
    known = gateway.callers.known(bearer, right) if bearer else None
    if known:
        body = await read_body(request, most or gateway.settings.body_bytes, seconds)
    else:
        body = await _read_of_anybody(request, gateway)
    text = key_in(body, request)
    return Asked(body, known or gateway.callers.known(text, right))


async def _read_of_anybody(request: Request, gateway: Gateway) -> Body:
    """Whoever has no key may send one too: only little is held until it is found."""
    most = min(SMALL_BYTES, gateway.settings.body_bytes)
    try:
        return await read_body(request, most)
    except Refused as refused:
        if refused.status != 413:
            raise
        hint = "; a larger one needs the key as a bearer token"
        raise Refused(413, refused.message + hint) from None


def refuse_keys_in_the_address(request: Request) -> None:
    """Addresses stand in logs, histories and proxies. Raises Refused."""
    if any(name.lower() in IN_THE_ADDRESS for name in request.query_params):
        raise Refused(
            400,
            "a key never goes into the address, which logs keep: send it in the body as 'key', or "
            "as a bearer token, and have one that was sent so replaced",
        )


def key_in(body: Body, request: Request) -> str | None:
    """The key of a request: in its body, or a bearer token. Raises Refused."""
    given = body.get("key")
    in_body = None if is_absent(given) else given if isinstance(given, str) else "not a text"
    bearer = _bearer(request)
    if in_body and bearer and in_body.strip() != bearer:
        raise Refused(401, "two different keys were given, in the body and as a bearer token")
    key = (in_body or bearer or "").strip()
    # A key has plain letters only: what has others stays none.
    return key.encode("ascii", "replace").decode() or None


def _bearer(request: Request) -> str:
    headers = request.headers.getlist("authorization")
    if len(headers) > 1:
        raise Refused(401, "more than one Authorization header was given")
    kind, _, token = (headers[0] if headers else "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else ""
