"""The document's menu: what is there does it, what is not says so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from t2v_api.api_key import Right
from t2v_api.video_model import VideoModelSpec
from t2v_gateway.endpoint.not_offered import NOT_OFFERED
from t2v_gateway.endpoint.system import NOT_HERE
from t2v_operator.cluster.errors import ClusterError
from t2v_operator.cluster.kinds import RESOURCES, VIDEO_MODELS
from t2v_operator.config import OperatorConfig

from tests.unit.builders import a_config
from tests.unit.gateway.world import World, a_world

ROOT = Path(__file__).parents[3]
WAN = yaml.safe_load((ROOT / "models/catalogue/wan21-t2v-1-3b.yaml").read_text())
WITH_ADAPTER = yaml.safe_load((ROOT / "models/catalogue/animatediff-sd15.yaml").read_text())
MENU = [
    "system_details",
    "restart_server",
    "update_server",
    "update_s3",
    "clear_cache",
    "schedulers_list",
    "load_model",
    "verify_model",
    "get_all_models",
    "delete_model",
    "controlnet",
    "text2img",
    "text2video",
    "inpaint",
    "super_resolution",
    "upload_image",
    "sync_image",
    "load_vae",
    "nsfw_image_check",
    "fetch_queue_image",
]
"""As the document lists it."""


async def ask(world: World, name: str, key: str = "", **body: Any) -> dict[str, Any]:
    answer = await world.client.post(
        f"/api/v1/enterprise/{name}", json={"key": key or world.key.text, **body}
    )
    told: dict[str, Any] = answer.json()
    return told | {"code": answer.status_code}


def with_rights(world: World, *rights: Right, namespace: str = "films") -> str:
    made, _ = world.keys.add(namespace, rights=(Right.USE, *rights))
    return made.text


def add_model(world: World, model: dict[str, Any] = WAN, ready: bool = False) -> None:
    """What the watch tells of a VideoModel that somebody applied."""
    document = model | {"metadata": {"name": model["metadata"]["name"], "generation": 1}}
    if ready:
        condition = {
            "type": "Ready",
            "status": "True",
            "reason": "Ready",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        document["status"] = {"observedGeneration": 1, "conditions": [condition]}
    world.server.put(VIDEO_MODELS, document)
    world.gateway.models.store.event("ADDED", document, None)


@pytest.mark.parametrize("name", MENU)
def test_everything_on_the_documents_menu_has_an_answer(name: str) -> None:
    async def asked() -> None:
        async with a_world() as world:
            told = await ask(world, name)
            assert told["code"] == 200
            assert told["status"] in ("success", "error")
            assert told["message"]
            assert "not found" not in told["message"]

    asyncio.run(asked())


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_what_is_not_offered_says_so(name: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            told = await ask(world, name)
            assert told["code"] == 404
            assert told["message"].startswith(f"{name} is not offered: ")

    asyncio.run(asked())


@pytest.mark.parametrize("name", NOT_HERE)
def test_what_means_nothing_on_kubernetes_says_so_to_operators_alone(name: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            assert (await ask(world, name))["code"] == 403
            operator = with_rights(world, Right.OPERATE)
            told = await ask(world, name, operator)
            assert (told["code"], told["message"]) == (404, NOT_HERE[name])

    asyncio.run(asked())


def test_an_address_that_is_none_is_a_404_in_the_same_form() -> None:
    async def asked() -> None:
        async with a_world() as world:
            told = await ask(world, "make_coffee")
            assert (told["code"], told["status"]) == (404, "error")

    asyncio.run(asked())


def test_schedulers_are_listed_with_what_a_model_makes_of_them() -> None:
    async def asked() -> None:
        async with a_world() as world:
            plain = await ask(world, "schedulers_list")
            assert len(plain["schedulers"]) == 18
            assert "verdicts" not in plain
            add_model(world)
            told = await ask(world, "schedulers_list", model_id="wan21-t2v-1-3b")
            verdicts = {each["scheduler"]: each for each in told["verdicts"]}
            assert verdicts["DDPMScheduler"] == {
                "scheduler": "DDPMScheduler",
                "support": "Replaced",
                "runs": "EulerAncestralDiscreteScheduler",
            }
            assert verdicts["EulerDiscreteScheduler"]["support"] == "Adapted"

    asyncio.run(asked())


def test_models_are_listed_and_verified() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            add_model(world)
            models = {
                each["model_id"]: each for each in (await ask(world, "get_all_models"))["models"]
            }
            assert models["tiny-shapes"]["model_status"] == "ready"
            assert models["wan21-t2v-1-3b"]["model_status"] == "not_ready"
            assert models["wan21-t2v-1-3b"]["max_width"] == 832
            waiting = await ask(world, "verify_model", model_id="wan21-t2v-1-3b")
            assert "has not been looked at yet" in waiting["message"]
            add_model(world, ready=True)
            ready = await ask(world, "verify_model", model_id="wan21-t2v-1-3b")
            assert (ready["model_status"], ready["message"]) == ("ready", "the model is ready")
            unknown = await ask(world, "verify_model", model_id="wan")
            assert unknown["code"] == 404
            assert "known are tiny-shapes, wan21-t2v-1-3b" in unknown["message"]
            assert (await ask(world, "verify_model"))["message"].startswith("model_id is required")

    asyncio.run(asked())


def test_a_model_is_loaded_by_its_spec() -> None:
    async def asked() -> None:
        async with a_world() as world:
            key = with_rights(world, Right.MODELS)
            told = await ask(world, "load_model", key, model_id="my-wan", spec=WAN["spec"])
            assert (told["status"], told["message"]) == ("success", "model load started")
            (made,) = world.server.all_of(VIDEO_MODELS)
            assert made["kind"] == "VideoModel"
            assert made["metadata"]["name"] == "my-wan"
            assert VideoModelSpec.parse(made["spec"]) == VideoModelSpec.parse(WAN["spec"])

    asyncio.run(asked())


def test_a_model_that_is_there_comes_from_elsewhere() -> None:
    async def asked() -> None:
        async with a_world() as world:
            add_model(world)
            told = await ask(
                world,
                "load_model",
                with_rights(world, Right.MODELS),
                model_id="wan21-t2v-1-3b",
                url="https://huggingface.co/me/my-wan",
                revision="fp16",
                prefetch="yes",
            )
            assert "a branch that may move" in told["tip"]
            (made,) = world.server.all_of(VIDEO_MODELS)
            assert made["spec"]["source"] == {"hub": "me/my-wan", "revision": "main"}
            assert made["spec"]["prefetch"] == {"pools": [], "convert": False}
            assert made["spec"]["family"] == "Wan"

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "model_id is required"),
        ({"model_id": "My Wan"}, 'model_id is "My Wan"; a new model\'s name'),
        ({"model_id": "tiny-shapes"}, "is one of the configuration's own models"),
        ({"model_id": "new", "url": "a/b"}, "spec is required for a model that is not there yet"),
        ({"model_id": "new", "spec": "{"}, 'spec is "{"; it must be a JSON object'),
        ({"model_id": "new", "spec": [1]}, "spec is a list; it must be an object"),
        ({"model_id": "new", "spec": {"family": "Wan"}}, "spec.source: is required"),
        (
            {"model_id": "new", "spec": WAN["spec"] | {"source": {"path": "/etc"}}},
            "spec.source.path is not taken from here",
        ),
        (
            {"model_id": "new", "spec": WITH_ADAPTER["spec"] | {"motionAdapter": {"path": "/etc"}}},
            "spec.motionAdapter.path is not taken from here",
        ),
        (
            {
                "model_id": "new",
                "spec": WAN["spec"] | {"prefetch": {}, "tokenSecretRef": {"name": "a"}},
            },
            "spec.tokenSecretRef is not taken from here",
        ),
        (
            {"model_id": "new", "spec": WAN["spec"], "url": "https://evil.example.com/a/b"},
            'url is "https://evil.example.com/a/b"; it must be a hub\'s repository',
        ),
        (
            {"model_id": "new", "spec": WAN["spec"], "url": "a/b", "revision": "a b"},
            'revision is "a b"; it must be a commit, tag or branch',
        ),
        ({"model_id": "new", "model_type": "lora"}, 'model_type is "lora"; only whole models'),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(body: dict[str, Any], message: str) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            told = await ask(world, "load_model", with_rights(world, Right.MODELS), **body)
            assert 400 <= told["code"] < 500
            assert message in told["message"]
            assert not world.server.all_of(VIDEO_MODELS)

    asyncio.run(asked())


def test_a_model_is_deleted_by_who_may() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            add_model(world)
            name = "wan21-t2v-1-3b"
            assert (await ask(world, "delete_model", model_id=name))["code"] == 403
            key = with_rights(world, Right.MODELS)
            assert (await ask(world, "delete_model", key, model_id="wan"))["code"] == 404
            assert (await ask(world, "delete_model", key, model_id="tiny-shapes"))["code"] == 409
            assert (await ask(world, "delete_model", key, model_id=name))["status"] == "success"
            assert not world.server.all_of(VIDEO_MODELS)

    asyncio.run(asked())


def test_a_models_token_fetches_nothing_but_what_it_was_given_for() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            key = with_rights(world, Right.MODELS)
            name, hub = WITH_ADAPTER["metadata"]["name"], "somebody/private"
            token = {"prefetch": {}, "tokenSecretRef": {"name": "hub"}}
            spec = WITH_ADAPTER["spec"] | token
            add_model(world, WITH_ADAPTER | {"spec": spec})
            other = {"hub": hub, "revision": "main"}
            for part in ("source", "motionAdapter"):
                body = {"model_id": name, "spec": spec | {part: other}}
                told = await ask(world, "load_model", key, **body)
                assert told["code"] == 400, part
                assert "spec.tokenSecretRef" in told["message"]
            told = await ask(world, "load_model", key, model_id=name, url=hub)
            assert told["code"] == 400
            without = {each: spec[each] for each in spec if each != "motionAdapter"}
            told = await ask(world, "load_model", key, model_id=name, spec=without)
            assert told["code"] == 400
            assert hub not in str(world.server.all_of(VIDEO_MODELS))
            told = await ask(world, "load_model", key, model_id=name, spec=spec)
            assert told["code"] == 200

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ClusterError(403, "Forbidden", "system:serviceaccount:a:b cannot create"), 403),
        (ClusterError(409, "Conflict", "changed"), 409),
        (ClusterError(422, "Invalid", "spec: wrong"), 400),
        (ClusterError(500, "InternalError", "etcd"), 503),
        (TimeoutError(), 503),
    ],
)
def test_what_the_api_server_refuses_is_told_without_its_innards(
    error: Exception, code: int
) -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            world.server.refusals["create", VIDEO_MODELS.plural] = error
            key = with_rights(world, Right.MODELS)
            told = await ask(world, "load_model", key, model_id="new", spec=WAN["spec"])
            assert told["code"] == code
            assert "serviceaccount" not in told["message"]
            assert "etcd" not in told["message"]

    asyncio.run(asked())


def test_an_installation_without_videomodels_loads_none() -> None:
    async def asked() -> None:
        config = OperatorConfig.parse(a_config().document() | {"videoModels": False})
        async with a_world(config, errors="HttpStatus") as world:
            key = with_rights(world, Right.MODELS)
            for name in ("load_model", "delete_model"):
                assert (await ask(world, name, key, model_id="new"))["code"] == 404

    asyncio.run(asked())


def test_the_system_is_told_in_numbers() -> None:
    async def asked() -> None:
        async with a_world() as world:
            for _ in range(3):
                await ask(world, "text2video", model_id="tiny-shapes", prompt="a cat")
            first, second, _ = world.videos
            pool = world.gateway.config.pools[0].name
            world.change(first, phase="Running", pool=pool)
            world.succeed(second)
            told = await ask(world, "system_details")
            assert told["queue"] == {"waiting": 1, "running": 1, "suspended": 0}
            assert told["pools"][0]["running"] == 1
            assert told["versions"]["api"] == "v1alpha1"

    asyncio.run(asked())


def test_a_cleared_queue_leaves_what_is_made_and_what_kubectl_made() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            for _ in range(3):
                await ask(world, "text2video", model_id="tiny-shapes", prompt="a cat")
            running, done, waiting = world.videos
            world.change(running, phase="Running")
            world.succeed(done)
            by_hand = {
                "apiVersion": "textto.video/v1alpha1",
                "kind": "TextToVideoJob",
                "metadata": {"name": "by-hand", "namespace": "films"},
                "spec": {"modelId": "tiny-shapes", "prompt": "a dog"},
            }
            world.gateway.videos.store.event("ADDED", world.server.put(RESOURCES, by_hand), None)
            assert (await ask(world, "clear_queue"))["code"] == 403
            told = await ask(world, "clear_queue", with_rights(world, Right.OPERATE))
            assert told["cancelled"] == [waiting.id]
            specs = {
                each["metadata"]["name"]: each["spec"] for each in world.server.all_of(RESOURCES)
            }
            assert set(specs) == {running.name, done.name, waiting.name, "by-hand"}
            assert [name for name in specs if specs[name].get("cancel")] == [waiting.name]

    asyncio.run(asked())


def test_what_has_begun_meanwhile_stays_in_a_cleared_queue() -> None:
    async def asked() -> None:
        async with a_world() as world:
            await ask(world, "text2video", model_id="tiny-shapes", prompt="a cat")
            (document,) = world.server.all_of(RESOURCES)
            world.server.put(RESOURCES, document)  # the watch has not told of it yet
            told = await ask(world, "clear_queue", with_rights(world, Right.OPERATE))
            assert told["cancelled"] == []
            assert "cancel" not in world.server.all_of(RESOURCES)[0]["spec"]

    asyncio.run(asked())
