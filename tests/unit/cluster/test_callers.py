"""Who shows a token, and what its pod may have: what its own Job's request names, nothing else."""

import asyncio
import base64
import json
from typing import Any

import pytest
from t2v_operator.cluster.callers import Callers
from t2v_operator.cluster.kinds import JOBS, PODS, RESOURCES
from t2v_operator.cluster.model_cache import ModelCache
from t2v_operator.delivery.report_server import Caller, UnknownCaller

from tests.unit.builders import a_config, a_config_with_a_store
from tests.unit.cluster.test_reconcile import KEY, World
from tests.unit.model_observations import MODEL, a_prefetch_job
from tests.unit.observations import (
    a_job_document,
    a_job_seen,
    a_pod_document,
    a_record_of,
    a_resource_document,
    a_status,
    at,
    text,
)

POD, UID = "pod-1", "uid-of-pod-1"
CONFIG = a_config_with_a_store(models=a_config(family="LTX").document()["models"])
"""With a model that takes a first and a last frame."""
AUDIENCE = CONFIG.report_server.audience


def a_token(head: str = "head") -> str:
    claims = {"aud": [AUDIENCE], "kubernetes.io": {"pod": {"uid": UID}}}
    first = base64.urlsafe_b64encode(head.encode()).decode()
    return f"{first}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}.c2ln"


async def review(token: str, audience: str) -> dict[str, Any]:
    """What an API server says of the pod's token."""
    names = {"pod-name": [POD], "pod-uid": [UID]}
    extra = {f"authentication.kubernetes.io/{name}": value for name, value in names.items()}
    user = {"username": "system:serviceaccount:default:default", "extra": extra}
    return {"authenticated": True, "audiences": [audience], "user": user}


def a_world(**spec: Any) -> tuple[World, Callers]:
    """A resource, the Job of its request, and that Job's pod."""
    world = World(CONFIG)
    job = a_job_document(spec, config=CONFIG)
    pod = a_pod_document(POD, running=True, job_uid=job["metadata"]["uid"])
    for kind, document in (
        (RESOURCES, a_resource_document(spec)),
        (JOBS, job),
        (PODS, pod),
    ):
        world.server.put(kind, document)
    world.hears()
    client: Any = world.server
    client.review_token = review
    models = ModelCache(client, "t2v-system", CONFIG, lambda _: None, lambda _: None)
    return world, Callers(client, world.cache, models, CONFIG)


def who_asks(callers: Callers) -> Caller:
    return asyncio.run(callers.identify(a_token()))


@pytest.mark.parametrize("fields", [["initVideo"], ["initImage"], ["initImage", "endImage"]])
def test_a_pod_may_read_the_init_media_that_its_request_names(fields: list[str]) -> None:
    _, callers = a_world(**{field: f"store://uploads/{field}" for field in fields})
    caller = who_asks(callers)
    assert caller.init_media == {
        f"store://uploads/{field}": f"videos/default/uploads/{field}" for field in fields
    }
    assert caller.resource == KEY[1]
    assert not caller.may_reuse, "another file may have that name tomorrow"


@pytest.mark.parametrize("media", [{}, {"initImage": "https://example.com/cat.png"}], ids=str)
def test_a_pod_whose_request_names_none_in_the_store_reads_none(media: dict[str, Any]) -> None:
    _, callers = a_world(**media)
    assert who_asks(callers).init_media == {}


def test_a_pod_of_an_earlier_request_reads_nothing_of_the_present_one() -> None:
    world, callers = a_world(initImage="store://uploads/cat.png")
    world.server.change(RESOURCES, KEY[1], spec={"initImage": "store://uploads/dog.png"})
    world.hears()
    with pytest.raises(UnknownCaller, match="not wanted any more"):
        who_asks(callers)


def test_a_forged_job_opens_only_what_the_resource_names() -> None:
    world, callers = a_world(initImage="store://uploads/cat.png")
    (job,) = world.server.all_of(JOBS)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (request,) = (each for each in container["env"] if each["name"] == "T2V_REQUEST")
    request["value"] = request["value"].replace("uploads/cat.png", "uploads/dog.png")
    world.server.put(JOBS, job)
    world.hears()
    (key,) = who_asks(callers).init_media.values()
    assert key == "videos/default/uploads/cat.png"


@pytest.mark.parametrize("is_recorded", [False, True])
def test_a_pod_whose_video_is_cancelled_may_leave_a_checkpoint_alone(is_recorded: bool) -> None:
    world, callers = a_world()
    before = who_asks(callers)
    assert not before.is_stopped
    cancelled = a_status(CONFIG, spec={"cancel": True}, job=a_job_seen(config=CONFIG))
    record = a_record_of(cancelled) if is_recorded else ""
    spec = {"cancel": True}
    world.server.put(RESOURCES, a_resource_document(spec, cancelled, record=record))
    (job,) = world.server.all_of(JOBS)
    job["metadata"]["deletionTimestamp"] = text(at(100))
    world.server.put(JOBS, job)
    world.hears()
    caller = who_asks(callers)
    assert caller.is_stopped
    assert caller.folder == before.folder
    assert not caller.may_reuse


def test_a_pod_of_another_try_than_the_cancelled_one_is_not_heard() -> None:
    world, callers = a_world()
    cancelled = a_status(CONFIG, spec={"cancel": True}).model_copy(update={"job_name": "another"})
    world.server.put(RESOURCES, a_resource_document({"cancel": True}, cancelled))
    world.hears()
    with pytest.raises(UnknownCaller, match="not wanted any more"):
        who_asks(callers)


def test_a_pod_that_fetches_a_model_may_tell_how_far_it_is_and_nothing_else() -> None:
    world, callers = a_world()
    job = a_prefetch_job()
    job["metadata"]["namespace"] = "default"
    pod = a_pod_document(POD, running=True, job_uid=job["metadata"]["uid"])
    world.server.put(PODS, pod)
    world.hears()
    callers._models.jobs.page([{**job, "status": {}}], 1, None)
    caller = who_asks(callers)
    assert (caller.fetches, caller.job) == (MODEL, job["metadata"]["name"])
    assert (caller.folder, caller.may_reuse, caller.init_media) == (None, False, {})


@pytest.mark.parametrize(
    "claims",
    [b"[" * 45_000, b"7", b'{"aud": 7}', b"\xff"],
    ids=["deep", "a number", "no audience", "no text"],
)
def test_what_is_no_token_is_refused_without_asking(claims: bytes) -> None:
    world, callers = a_world()
    client: Any = world.server
    client.review_token = None
    token = f"head.{base64.urlsafe_b64encode(claims).decode()}.c2ln"
    with pytest.raises(UnknownCaller, match="not one of a pod"):
        asyncio.run(callers.identify(token))


def test_without_reviews_the_published_keys_tell_whose_a_token_is() -> None:
    world, _ = a_world()
    asked = []

    async def token_keys() -> tuple[str, dict[str, Any]]:
        asked.append("keys")
        return "https://kubernetes.default.svc", {"keys": []}

    client: Any = world.server
    client.token_keys, client.review_token = token_keys, None
    server = CONFIG.report_server.model_copy(update={"token_review": False})
    config = CONFIG.model_copy(update={"report_server": server})
    models = ModelCache(client, "t2v-system", config, lambda _: None, lambda _: None)
    with pytest.raises(UnknownCaller):
        asyncio.run(
            Callers(client, world.cache, models, config).identify(a_token('{"alg": "RS256"}'))
        )
    assert asked == ["keys"]
