"""Which key a resource has: by its Secret, by the gateway's signature, by its Job's label."""

import asyncio
import base64
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientConnectionError
from t2v_api.api_key import grant
from t2v_api.reasons import Reason, Waiting
from t2v_operator.cluster.api_keys import ApiKeys
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import SECRETS
from t2v_operator.cluster.resource_keys import ResourceKeys
from t2v_operator.core.keys import KeyProblem
from t2v_operator.core.observed import Observed

from tests.unit.api_keys import ID, SYSTEM, TEXT, a_key, a_key_secret
from tests.unit.builders import a_resource
from tests.unit.cluster.api_server import ApiServer
from tests.unit.observations import a_job_seen, an_observation, succeeded, the_spec

GATEWAY = "text-to-video-operator-gateway"
SIGNS = b"s" * 32
REFERENCE = {"keySecretRef": {"name": "alice"}}
AWAY = ClientConnectionError("away: t2v_secret")


def a_secret(text: str = TEXT, name: str = "alice", key: str = "key") -> dict[str, Any]:
    data = {key: base64.b64encode(text.encode()).decode()}
    return {"metadata": {"name": name, "namespace": "default"}, "data": data}


class World:
    """A cluster with Alice's key, and who looks for it."""

    def __init__(self) -> None:
        self.server, self.uptime = ApiServer(), 1000.0
        client: Any = self.server
        self.known = ApiKeys(client, SYSTEM)
        self.keys = ResourceKeys(client, SYSTEM, self.known, GATEWAY, lambda: self.uptime)
        self.server.put(SECRETS, a_key_secret())
        self.hears()

    def hears(self) -> None:
        asyncio.run(self.known.reflectors[0]._list())
        self.server.forget_requests()

    def revokes(self) -> None:
        del self.server.objects[SECRETS, SYSTEM, f"api-key-{ID}"]
        self.server.version += 1
        self.hears()

    def of(self, observed: Observed | None = None, now: bool = False) -> Any:
        return asyncio.run(self.keys.of(observed or an_observation(spec=REFERENCE), now))

    def problem(self, observed: Observed | None = None, now: bool = False) -> KeyProblem:
        found = self.of(observed, now)
        assert isinstance(found, KeyProblem)
        assert TEXT not in found.message
        assert "k" * 43 not in found.message
        return found


@pytest.fixture
def world() -> World:
    return World()


def test_a_resource_that_names_no_key_is_not_asked_about(world: World) -> None:
    assert world.of(an_observation()) is None
    assert world.of(an_observation(spec=REFERENCE, status=succeeded(), deleting=True)) is None
    assert world.server.requests == []


def test_the_key_is_read_from_the_secret_of_the_resources_namespace(world: World) -> None:
    world.server.put(SECRETS, a_secret(f"{TEXT}\n"))
    assert world.of() == a_key()


def test_another_key_of_the_secret_may_be_named(world: World) -> None:
    world.server.put(SECRETS, a_secret(key="token"))
    named = {"keySecretRef": {"name": "alice", "key": "token"}}
    assert world.of(an_observation(spec=named)) == a_key()
    assert world.problem().reason is Waiting.KEY_NOT_AVAILABLE


def test_a_secret_is_not_read_again_for_seconds_and_a_revoked_key_is_refused_at_once(
    world: World,
) -> None:
    world.server.put(SECRETS, a_secret())
    assert world.of() == world.of() == a_key()
    assert world.server.count("get", SECRETS) == 1
    world.revokes()
    assert world.problem().reason is Reason.KEY_REFUSED
    world.uptime += 5
    assert world.problem().reason is Reason.KEY_REFUSED
    assert world.server.count("get", SECRETS) == 1


def test_a_changed_secret_is_read_within_seconds(world: World) -> None:
    world.server.put(SECRETS, a_secret("t2v_wrong"))
    assert "holds no API key" in world.problem().message
    world.server.put(SECRETS, a_secret())
    assert world.problem().reason is Reason.KEY_REFUSED
    assert world.of(now=True) == a_key(), "what is refused is looked at again"
    assert world.of() == a_key()


def test_nothing_of_the_key_is_remembered(world: World) -> None:
    world.server.put(SECRETS, a_secret())
    world.of()
    assert TEXT not in repr(vars(world.keys))
    assert ID in repr(vars(world.keys))


def test_a_secret_that_is_missing_or_forbidden_is_waited_for(world: World) -> None:
    missing = world.problem()
    assert (missing.reason, missing.is_final) == (Waiting.KEY_NOT_AVAILABLE, False)
    assert "'key' of Secret alice is not there" in missing.message
    world.uptime += 5
    world.server.refusals["get", "secrets"] = ClusterError(403, "Forbidden", "no rights")
    assert world.problem().reason is Waiting.KEY_NOT_AVAILABLE


@pytest.mark.parametrize("error", [AWAY, TimeoutError(), ClusterError(500, "Internal", "t2v_")])
def test_an_api_server_that_is_away_is_waited_for_and_not_remembered(
    world: World, error: Exception
) -> None:
    world.server.put(SECRETS, a_secret())
    world.server.refusals["get", "secrets"] = error
    problem = world.problem()
    assert problem.reason is Waiting.NOT_ANSWERED
    assert "t2v_" not in problem.message
    assert world.of() == a_key()


def test_a_key_for_another_namespace_or_an_unknown_one_is_refused(world: World) -> None:
    world.server.put(SECRETS, a_secret())
    world.server.put(SECRETS, a_key_secret(namespace="team-b"))
    world.hears()
    assert "not for namespace default" in world.problem().message
    world.revokes()
    world.uptime += 5
    assert world.problem().reason is Reason.KEY_REFUSED


def test_bytes_that_are_no_text_are_no_key(world: World) -> None:
    secret = a_secret()
    secret["data"]["key"] = "//8="
    world.server.put(SECRETS, secret)
    assert "holds no API key" in world.problem().message


def test_a_key_that_was_made_just_now_is_found_by_a_look_at_the_api_server(world: World) -> None:
    world.revokes()
    world.server.put(SECRETS, a_key_secret())
    world.server.put(SECRETS, a_secret())
    assert world.problem().reason is Reason.KEY_REFUSED
    assert world.of(now=True) == a_key()


def signed(secret: bytes = SIGNS, key_id: str = ID, **spec: Any) -> Observed:
    """A resource of the gateway."""
    request = a_resource(**the_spec()).spec.request_hash
    signature = grant(secret, key_id, "default", "red-circle", request)
    return an_observation(spec=spec, key_id=key_id, signature=signature)


def the_gateways(**data: bytes) -> dict[str, Any]:
    encoded = {name: base64.b64encode(each).decode() for name, each in data.items()}
    return {"metadata": {"name": GATEWAY, "namespace": SYSTEM}, "data": encoded}


def test_the_gateways_signature_tells_the_key(world: World) -> None:
    world.server.put(SECRETS, the_gateways(current=SIGNS))
    assert world.of(signed()) == world.of(signed()) == a_key()
    assert world.server.count("get", SECRETS) == 1


def test_what_the_gateway_signed_with_its_previous_secret_still_counts(world: World) -> None:
    world.server.put(SECRETS, the_gateways(current=b"n" * 32, previous=SIGNS))
    assert world.of(signed()) == a_key()


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(signed(secret=b"x" * 32), id="signed with something else"),
        pytest.param(signed(prompt="a dog"), id="another request"),
        pytest.param(an_observation(key_id=ID), id="not signed"),
    ],
)
def test_a_label_without_the_right_signature_is_refused(world: World, observed: Observed) -> None:
    world.server.put(SECRETS, the_gateways(current=SIGNS))
    assert world.problem(observed).reason is Reason.KEY_REFUSED


def test_a_gateways_secret_that_is_missing_is_waited_for(world: World) -> None:
    """Another one in its place would refuse whatever the gateways sign with the one they know."""
    assert world.problem(signed()).reason is Waiting.KEY_NOT_AVAILABLE
    assert world.server.all_of(SECRETS) == [world.server.objects[SECRETS, SYSTEM, f"api-key-{ID}"]]
    world.server.put(SECRETS, the_gateways(current=SIGNS))
    world.uptime += 5
    assert world.of(signed()) == a_key()


def test_a_gateways_secret_that_anybody_could_guess_is_not_used(world: World) -> None:
    world.server.put(SECRETS, the_gateways(current=b"short"))
    problem = world.problem(signed(secret=b"short"))
    assert problem.reason is Waiting.KEY_NOT_AVAILABLE
    assert GATEWAY in problem.message


def test_a_revoked_key_of_the_gateways_is_refused(world: World) -> None:
    world.server.put(SECRETS, the_gateways(current=SIGNS))
    world.revokes()
    assert world.problem(signed()).reason is Reason.KEY_REFUSED


def test_a_job_keeps_the_key_that_it_was_made_with(world: World) -> None:
    job = replace(a_job_seen(), key=ID)
    observed = an_observation(spec=REFERENCE, job=job)
    assert world.of(observed) == a_key()
    assert world.server.requests == [], "no Secret is read for it"
    assert world.of(an_observation(spec=REFERENCE, job=a_job_seen())) is None
    world.revokes()
    assert world.problem(observed).reason is Reason.KEY_REFUSED
