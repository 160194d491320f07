"""Whose a token is, by the API server's word and by its public keys."""

import asyncio
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from t2v_operator.cluster.tokens import (
    KEYS_SECONDS,
    POD_NAME,
    POD_UID,
    UNKNOWN_SECONDS,
    BoundPod,
    ReviewedTokens,
    Tokens,
    VerifiedTokens,
)

AUDIENCE, ISSUER = "video.t2v-system", "https://kubernetes.default.svc.cluster.local"
POD = BoundPod("team-a", "pod-1", "uid-1")
SIGNING, ANOTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
CURVE = ec.generate_private_key(ec.SECP256R1())


def public(key: Any, name: str, algorithm: str = "RS256") -> dict[str, Any]:
    way = jwt.get_algorithm_by_name(algorithm)
    document = json.loads(way.to_jwk(key.public_key()))
    return {**document, "use": "sig", "alg": algorithm, "kid": name}


class ApiServer:
    """Publishes keys, or says of a token what it is told to."""

    def __init__(self, *keys: dict[str, Any], status: dict[str, Any] | None = None) -> None:
        self.keys = list(keys)
        self.asked = 0
        self.status = status or {}

    async def token_keys(self) -> tuple[str, dict[str, Any]]:
        self.asked += 1
        return ISSUER, {"keys": self.keys}

    async def review_token(self, token: str, audience: str) -> dict[str, Any]:
        return self.status


def a_token(key: Any = SIGNING, name: str = "one", algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    pod = {"namespace": POD.namespace, "pod": {"name": POD.name, "uid": POD.uid}}
    of_a_pod = {"iss": ISSUER, "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 3600}
    document = {**of_a_pod, "kubernetes.io": pod, **claims}
    given = {name: value for name, value in document.items() if value is not None}
    return jwt.encode(given, key, algorithm, {"kid": name})


def pod_of(tokens: Tokens, token: str) -> BoundPod | None:
    return asyncio.run(tokens.pod_of(token))


def verified(*keys: dict[str, Any]) -> VerifiedTokens:
    client: Any = ApiServer(*(keys or (public(SIGNING, "one"),)))
    return VerifiedTokens(client, AUDIENCE)


def test_a_token_of_a_pod_names_it() -> None:
    assert pod_of(verified(), a_token()) == POD
    curve = verified(public(CURVE, "two", "ES256"))
    assert pod_of(curve, a_token(CURVE, "two", "ES256")) == POD


HOUR = 3600
NOW = int(time.time())
WRONG = {
    "no token": "nonsense",
    "another's signature": a_token(ANOTHER),
    "a key that is not there": a_token(name="two"),
    "no signature": jwt.encode({"aud": [AUDIENCE]}, None, "none", {"kid": "one"}),
    "a shared secret": jwt.encode({"aud": [AUDIENCE]}, "n" * 32, "HS256", {"kid": "one"}),
    "another audience": a_token(aud=["https://kubernetes.default.svc"]),
    "no audience": a_token(aud=None),
    "another issuer": a_token(iss="https://other.example.com"),
    "no end": a_token(exp=None),
    "an end that has come": a_token(exp=NOW - HOUR),
    "a beginning to come": a_token(nbf=NOW + HOUR),
    "no pod": a_token(**{"kubernetes.io": {"namespace": "team-a"}}),
    "a pod without a uid": a_token(
        **{"kubernetes.io": {"namespace": "team-a", "pod": {"name": "pod-1", "uid": ""}}}
    ),
    "nothing of Kubernetes": a_token(**{"kubernetes.io": None}),
}


@pytest.mark.parametrize("token", WRONG.values(), ids=WRONG)
def test_another_token_names_none(token: str) -> None:
    assert pod_of(verified(), token) is None


def test_a_key_that_this_operator_does_not_know_is_left_out() -> None:
    odd = {"kty": "LWE", "kid": "new", "alg": "QS1"}
    shared = {
        "kty": "oct",
        "kid": "one",
        "alg": "HS256",
        "k": "bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4",
    }
    assert pod_of(verified(odd, public(SIGNING, "one")), a_token()) == POD
    token = jwt.encode({"aud": [AUDIENCE]}, "n" * 32, "HS256", {"kid": "one"})
    assert pod_of(verified(shared), token) is None


def test_new_keys_are_asked_for_and_old_ones_forgotten() -> None:
    server, now = ApiServer(public(SIGNING, "one")), [0.0]
    client: Any = server
    tokens = VerifiedTokens(client, AUDIENCE, lambda: now[0])

    async def later() -> None:
        assert await tokens.pod_of(a_token()) == POD
        server.keys = [public(ANOTHER, "two")]
        newer = a_token(ANOTHER, "two")
        assert await tokens.pod_of(newer) is None
        assert server.asked == 1, "whoever makes up names of keys must not make questions"
        now[0] += UNKNOWN_SECONDS
        assert await tokens.pod_of(newer) == POD
        assert await tokens.pod_of(a_token()) is None
        assert server.asked == 2
        now[0] += KEYS_SECONDS
        assert await tokens.pod_of(newer) == POD
        assert server.asked == 3

    asyncio.run(later())


REVIEWED = {
    "authenticated": True,
    "audiences": [AUDIENCE],
    "user": {
        "username": "system:serviceaccount:team-a:default",
        "extra": {POD_NAME: [POD.name], POD_UID: [POD.uid]},
    },
}


@pytest.mark.parametrize(
    ("status", "pod"),
    [
        (REVIEWED, POD),
        ({**REVIEWED, "authenticated": False}, None),
        ({**REVIEWED, "audiences": None}, None),
        ({**REVIEWED, "user": {"username": "alice", "extra": REVIEWED["user"]["extra"]}}, None),  # type: ignore[index]
        ({**REVIEWED, "user": {"username": "system:serviceaccount:team-a:default"}}, None),
    ],
    ids=["a pod's", "nobody's", "of no audience", "a person's", "of no pod"],
)
def test_a_review_names_the_pod(status: dict[str, Any], pod: BoundPod | None) -> None:
    client: Any = ApiServer(status=status)
    assert pod_of(ReviewedTokens(client, AUDIENCE), "token") == pod
