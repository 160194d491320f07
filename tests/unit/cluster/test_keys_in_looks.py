"""Looks at resources with API keys: what is made, what is refused, and where no key ever stands."""

import asyncio
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from t2v_api.reasons import Reason
from t2v_operator.cluster import reconcile
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import JOBS, PODS, SECRETS
from t2v_operator.config import OperatorConfig
from t2v_operator.core.balancing import Work
from t2v_operator.core.job import build_job
from t2v_operator.core.request import resolve

from tests.unit.api_keys import (
    FAST,
    ID,
    OTHER,
    SYSTEM,
    TEXT,
    a_config_with_keys,
    a_key,
    a_key_secret,
)
from tests.unit.builders import a_config, a_resource
from tests.unit.cluster.api_server import the_jobs, the_status
from tests.unit.cluster.test_reconcile import World
from tests.unit.cluster.test_resource_keys import a_secret
from tests.unit.observations import (
    JOB_NAME,
    a_failure,
    a_pod_document,
    a_status,
    at,
    text,
    the_spec,
)

REFERENCE = {"keySecretRef": {"name": "alice"}}
CONFIG = a_config_with_keys(FAST)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Callable[..., World]:
    def made(**resource: Any) -> World:
        tested = World(CONFIG)
        monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: tested.uptime))
        tested.has(**({"spec": REFERENCE} | resource))
        return tested

    return made


def hears_of_keys(tested: World) -> None:
    asyncio.run(tested.api_keys.reflectors[0]._list())


def the_reason(status: dict[str, Any]) -> tuple[str, str]:
    return status["phase"], status["conditions"][0]["reason"]


def test_a_key_opens_a_pool_that_requires_one_and_stands_nowhere(
    world: Callable[..., World], caplog: pytest.LogCaptureFixture
) -> None:
    tested = world()
    tested.server.put(SECRETS, a_key_secret())
    tested.server.put(SECRETS, a_secret())
    hears_of_keys(tested)
    with caplog.at_level(logging.DEBUG):
        status = tested.looks_until_it_is_written()
    assert (status["phase"], status["pool"]) == ("Queued", "fast")
    (job,) = tested.server.all_of(JOBS)
    assert job["metadata"]["labels"]["textto.video/api-key"] == ID
    others = [each for (kind, *_), each in tested.server.objects.items() if kind is not SECRETS]
    told = json.dumps(others) + caplog.text + repr(tested.told)
    assert "k" * 43 not in told


def test_without_a_key_it_is_refused(world: Callable[..., World]) -> None:
    tested = world(spec={})
    assert the_reason(tested.looks_until_it_is_written()) == ("Failed", "PoolNeedsKey")
    assert the_jobs(tested.server) == []


def test_a_key_that_the_watch_has_not_seen_yet_is_no_reason_to_refuse(
    world: Callable[..., World],
) -> None:
    tested = world()
    tested.server.put(SECRETS, a_key_secret())
    tested.server.put(SECRETS, a_secret())
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_a_secret_that_comes_late_is_found(world: Callable[..., World]) -> None:
    tested = world()
    tested.server.put(SECRETS, a_key_secret())
    hears_of_keys(tested)
    assert the_reason(tested.looks_until_it_is_written()) == ("Pending", "KeyNotAvailable")
    tested.server.put(SECRETS, a_secret())
    tested.hears()
    tested.passes(tested.looks() or 0)
    tested.looks()
    assert the_jobs(tested.server) == [JOB_NAME]


def test_a_secret_that_cannot_be_read_now_is_waited_for(world: Callable[..., World]) -> None:
    tested = world()
    tested.server.refusals["get", "secrets"] = ClusterError(503, "Unavailable", "no endpoints")
    again = tested.looks()
    assert again is not None
    assert the_jobs(tested.server) == []


def a_queued_job(tested: World, *pods: dict[str, Any]) -> None:
    """Made with Alice's key."""
    job = build_job(resolve(a_resource(**the_spec(**REFERENCE)), CONFIG, key=a_key()), CONFIG)
    job["metadata"] |= {"uid": f"job-{JOB_NAME}", "creationTimestamp": "2026-01-01T12:00:00Z"}
    tested.server.put(JOBS, job)
    for pod in pods:
        tested.server.put(PODS, pod)
    tested.hears()


def test_a_job_that_waits_is_removed_when_its_key_is_revoked(world: Callable[..., World]) -> None:
    status = a_status(CONFIG, spec=REFERENCE, key=a_key())
    tested = world(status=status)
    a_queued_job(tested)
    assert the_reason(tested.looks_until_it_is_written()) == ("Failed", "KeyRefused")
    for _ in range(3):
        tested.hears()
        tested.passes(tested.looks() or 1)
    assert the_jobs(tested.server) == []


def test_a_job_that_runs_goes_on_when_its_key_is_revoked(world: Callable[..., World]) -> None:
    tested = world(status=a_status(CONFIG, spec=REFERENCE, key=a_key()))
    a_queued_job(tested, a_pod_document(running=True, pool="fast"))
    assert tested.looks_until_it_is_written()["phase"] == "Running"


def test_a_key_is_not_known_by_the_name_of_its_secret(world: Callable[..., World]) -> None:
    """The operator's own Secrets hold digests: one that names such a Secret has no key."""
    tested = world(spec={"keySecretRef": {"name": f"api-key-{ID}", "key": "digest"}})
    kept = a_key_secret()
    tested.server.put(SECRETS, kept | {"metadata": {**kept["metadata"], "namespace": SYSTEM}})
    hears_of_keys(tested)
    copy = a_key_secret()
    copy["metadata"]["namespace"] = "default"
    tested.server.put(SECRETS, copy)
    assert the_reason(tested.looks_until_it_is_written()) == ("Failed", "KeyRefused")
    assert TEXT not in json.dumps(tested.server.all_of(JOBS))


THE_LARGER = {"name": "larger", "gpuMemory": "80Gi", "keys": "required"}
THE_SMALLER = {"name": "smaller", "gpuMemory": "24Gi", "keys": "required"}


def a_world_that_queues(
    monkeypatch: pytest.MonkeyPatch, config: OperatorConfig, pools: list[str], **spec: Any
) -> World:
    """A video whose Job waits in the first of the pools that its key opens."""
    tested = World(config)
    monkeypatch.setattr(reconcile, "time", SimpleNamespace(monotonic=lambda: tested.uptime))
    tested.has(spec=REFERENCE | spec)
    tested.server.put(SECRETS, a_key_secret(pools=pools))
    tested.server.put(SECRETS, a_secret())
    hears_of_keys(tested)
    assert tested.looks_until_it_is_written()["pool"] == pools[0]
    tested.hears()
    return tested


def test_a_key_that_cannot_be_read_now_fails_no_video_that_it_opens_a_larger_pool_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    document = a_config(resources={"gpus": 1}).document() | {"apiKeys": {"enabled": True}}
    config = OperatorConfig.parse(document | {"pools": [THE_SMALLER, THE_LARGER]})
    tested = a_world_that_queues(monkeypatch, config, ["smaller", "larger"])
    (job,) = tested.server.all_of(JOBS)
    said = a_failure(Reason.OUT_OF_MEMORY, "CUDA out of memory")
    ended = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": ""}
    job["status"] = {"conditions": [ended | {"lastTransitionTime": text(at(tested.now))}]}
    tested.server.put(JOBS, job)
    tested.pod(job_uid=job["metadata"]["uid"], exit_code=4, message=said, pool="smaller")
    tested.hears()
    tested.server.refusals["list", "secrets"] = TimeoutError()
    assert "it is tried again" in tested.tries_again()
    tested.server.refusals.clear()
    tested.looks()
    assert the_reason(the_status(tested.server)) == ("Pending", "LargerPool")


def test_a_key_that_cannot_be_read_now_moves_nothing_to_a_pool_that_it_does_not_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pools = [each | {"gpus": 1} for each in ({"name": "open"}, FAST, OTHER)]
    sections = {"apiKeys": {"enabled": True}, "loadBalancing": {"reconsider": True}}
    document = a_config(resources={"gpus": 1}).document()
    config = OperatorConfig.parse(document | sections | {"pools": pools})
    tested = a_world_that_queues(monkeypatch, config, ["fast", "other"], loadBalancer=True)
    tested.cache.tally.see(("default", "another"), Work("fast", "m", 1, 9000.0))
    tested.server.refusals["list", "secrets"] = ClusterError(429, "TooManyRequests", "slow down")
    tested.passes(70)
    tested.tries_again()
    assert the_jobs(tested.server) == [JOB_NAME]
    tested.server.refusals.clear()
    tested.looks()
    assert the_status(tested.server)["pool"] == "other"
