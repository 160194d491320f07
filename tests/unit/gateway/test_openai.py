"""OpenAI's own client, unchanged, from a request to the file."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from openai import APIStatusError, OpenAI
from t2v_api.resource import TextToVideoJobSpec
from t2v_gateway.openai.answers import id_of
from t2v_operator.delivery.asgi import serve

from tests.unit.builders import a_config, a_config_with_a_store
from tests.unit.gateway.openai_world import OpenAiWorld, an_openai_world, documents

Asked = Callable[[OpenAiWorld], Coroutine[Any, Any, None]]


def ask(asked: Asked, **world: Any) -> None:
    """Run `asked` with a gateway and its client."""

    async def run() -> None:
        async with an_openai_world(**world) as opened:
            await asked(opened)

    asyncio.run(run())


async def refused(asking: Coroutine[Any, Any, Any]) -> APIStatusError:
    with pytest.raises(APIStatusError) as caught:
        await asking
    return caught.value


def test_a_video_is_made_polled_and_downloaded() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(
            prompt="a red circle", model="tiny-shapes", seconds="4", size="128x64"
        )
        assert (video.object, video.status, video.progress) == ("video", "queued", 0)
        assert (video.seconds, video.size, video.model) == ("4", "128x64", "tiny-shapes")
        assert video.completed_at is None
        world.run(video.id)
        video = await world.client.videos.retrieve(video.id)
        assert (video.status, video.progress) == ("in_progress", 40)
        world.finish(video.id)
        video = await world.client.videos.poll(video.id)
        assert (video.status, video.progress, video.error) == ("completed", 100, None)
        assert video.completed_at == 1767268800
        assert (video.seconds, video.size) == ("4", "128x64")
        content = await world.client.videos.download_content(video.id)
        assert content.read() == b"what the store serves"

    ask(asked)


def test_the_client_as_it_is_documented_over_a_real_connection() -> None:
    async def asked(world: OpenAiWorld) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        serving = asyncio.create_task(serve(world.app, port))
        url, key = f"http://127.0.0.1:{port}/v1", world.client.api_key
        try:
            with OpenAI(base_url=url, api_key=key, max_retries=4) as client:
                async with asyncio.timeout(30), asyncio.TaskGroup() as group:
                    group.create_task(_finish_what_comes(world))
                    video = await asyncio.to_thread(
                        client.videos.create_and_poll, prompt="a red circle", poll_interval_ms=1
                    )
                listed = await asyncio.to_thread(lambda: [each.id for each in client.videos.list()])
                models = await asyncio.to_thread(lambda: [each.id for each in client.models.list()])
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        assert video.status == "completed"
        assert listed == [video.id]
        assert models == ["tiny-shapes"]

    ask(asked)


async def _finish_what_comes(world: OpenAiWorld) -> None:
    with world.world.gateway.videos.changes() as changed:
        while not world.world.videos:
            await changed.wait()
            changed.clear()
    world.finish(f"video_{world.world.videos[0].id}")


def test_what_is_left_out_is_the_models_own() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        assert (video.model, video.size, video.seconds) == ("tiny-shapes", "64x64", "2")
        (document,) = documents(world)
        assert document["spec"]["modelId"] == "tiny-shapes"
        assert "numFrames" not in document["spec"]

    ask(asked)


def test_more_parameters_come_with_extra_body() -> None:
    async def asked(world: OpenAiWorld) -> None:
        more = {
            "seed": 7,
            "negative_prompt": "blurred",
            "guidance_scale": 3.5,
            "num_inference_steps": 10,
            "num_frames": 12,
            "fps": 4,
            "scheduler": "EulerDiscreteScheduler",
            "enhance_prompt": False,
            "load_balancer": True,
        }
        video = await world.client.videos.create(prompt="a red circle", extra_body=more)
        spec = world.spec(video.id)
        assert (spec.seed, spec.negative_prompt, spec.guidance_scale) == (7, "blurred", 3.5)
        assert (spec.num_inference_steps, spec.num_frames, spec.fps) == (10, 12, 4)
        assert (spec.scheduler, spec.enhance_prompt) == ("EulerDiscreteScheduler", False)
        assert spec.load_balancer
        assert video.seconds == "3"
        extra = video.model_extra or {}
        assert (extra["seed"], extra["num_frames"], extra["fps"]) == (7, 12, 4)

    ask(asked)


def test_json_is_taken_as_a_form_is() -> None:
    async def asked(world: OpenAiWorld) -> None:
        body = {"prompt": "a red circle", "seconds": 3, "size": "64x128", "seed": None}
        video = await world.client.post("/videos", body=body, cast_to=dict[str, Any])
        assert (video["seconds"], video["size"]) == ("3", "64x128")

    ask(asked)


@pytest.mark.parametrize(
    ("seconds", "frames", "length"),
    [
        pytest.param("1", 17, "1.0625", id="the nearest above"),
        pytest.param("1.1", 17, "1.0625", id="the nearest below"),
        pytest.param("0.01", 1, "0.0625", id="never none at all"),
        pytest.param("2", 33, "2.0625", id="two seconds"),
    ],
)
def test_seconds_become_the_nearest_frames_that_the_model_draws(
    seconds: str, frames: int, length: str
) -> None:
    limits = {"maxWidth": 512, "maxHeight": 512, "maxFrames": 33}
    defaults = {
        "width": 64, "height": 64, "numFrames": 17, "fps": 16, "numInferenceSteps": 5,
        "guidanceScale": 2.0, "scheduler": "UniPCMultistepScheduler",
    }  # fmt: skip
    operator = a_config(family="Wan", limits=limits, defaults=defaults)

    async def asked(world: OpenAiWorld) -> None:
        made: Any = seconds
        video = await world.client.videos.create(prompt="a red circle", seconds=made)
        assert world.spec(video.id).num_frames == frames
        assert video.seconds == length

    ask(asked, operator=operator, with_store=False)


def test_a_video_that_failed_says_why() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        world.run(video.id)
        world.fail(video.id, "OutOfMemory", "the GPU's memory did not hold it")
        video = await world.client.videos.poll(video.id)
        assert (video.status, video.progress) == ("failed", 40)
        assert video.error
        assert video.error.code == "out_of_memory"
        assert video.error.message == "the GPU's memory did not hold it"
        error = await refused(world.client.videos.download_content(video.id))
        assert (error.status_code, error.code) == (404, "video_not_ready")

    ask(asked)


def test_a_video_that_another_replica_has_just_made_is_waited_for() -> None:
    async def asked(world: OpenAiWorld) -> None:
        made = await world.client.videos.create(prompt="a red circle")
        video = world.video(made.id)
        world.forget(video)
        asking = asyncio.create_task(world.client.videos.retrieve(made.id))
        while not world.world.gateway.videos._listeners:
            await asyncio.sleep(0)
        world.world.change(video)
        assert (await asking).status == "queued"

    ask(asked)


def test_pollers_are_told_how_often_to_ask() -> None:
    async def asked(world: OpenAiWorld) -> None:
        async def told() -> str | None:
            answer = await world.client.videos.with_raw_response.retrieve(video.id)
            return answer.headers.get("openai-poll-after-ms")

        video = await world.client.videos.create(prompt="a red circle")
        assert await told() == "3000"
        world.run(video.id)
        assert await told() == "1000"
        world.finish(video.id)
        assert await told() is None

    ask(asked)


def test_the_same_idempotency_key_makes_one_video() -> None:
    async def asked(world: OpenAiWorld) -> None:
        async def made(word: str) -> str:
            headers = {"Idempotency-Key": word}
            video = await world.client.videos.create(prompt="a circle", extra_headers=headers)
            return video.id

        assert await made("one") == await made("one")
        assert await made("two") != await made("one")

    ask(asked)


def test_a_list_comes_in_pages_by_time() -> None:
    async def asked(world: OpenAiWorld) -> None:
        made = [(await world.client.videos.create(prompt=f"circle {n}")).id for n in range(5)]
        for second, video_id in enumerate(made):
            _made_at(world, video_id, f"2026-01-01T12:00:0{second}Z")
        assert [each.id async for each in world.client.videos.list(limit=2)] == made[::-1]
        assert [each.id async for each in world.client.videos.list(limit=2, order="asc")] == made
        page = await world.client.videos.list(limit=2, after=made[3])
        assert [each.id for each in page.data] == [made[2], made[1]]
        assert (page.has_more, page.last_id) == (True, made[1])
        last = await world.client.videos.list(after=made[0])
        assert (last.data, last.has_more, last.last_id) == ([], False, None)

    ask(asked)


def test_who_deletes_page_by_page_gets_all_pages() -> None:
    async def asked(world: OpenAiWorld) -> None:
        made = {(await world.client.videos.create(prompt=f"circle {n}")).id for n in range(5)}
        deleted = set()
        async for each in world.client.videos.list(limit=2):
            video = world.video(each.id)
            await world.client.videos.delete(each.id)
            world.forget(video)
            deleted.add(each.id)
        assert deleted == made
        other, _ = world.world.keys.add()
        theirs = world.as_holder_of(other)
        assert (await refused(theirs.videos.list(after=made.pop()))).status_code == 400

    ask(asked)


def _made_at(world: OpenAiWorld, video_id: str, time: str) -> None:
    video = world.video(video_id)
    for (_, _, name), document in world.world.server.objects.items():
        if name == video.name:
            document["metadata"]["creationTimestamp"] = time
    world.world.change(video)


def test_a_deleted_video_is_gone_with_its_files() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        assert world.spec(video.id).output_policy == "Delete"
        kept = world.video(video.id)
        deleted = await world.client.videos.delete(video.id)
        assert (deleted.id, deleted.deleted, deleted.object) == (video.id, True, "video.deleted")
        assert not documents(world)
        world.forget(kept)
        assert (await refused(world.client.videos.retrieve(video.id))).status_code == 404
        assert (await world.client.videos.list()).data == []

    ask(asked)


def test_a_video_whose_files_are_being_removed_is_gone_already() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        for document in world.world.server.objects.values():
            document["metadata"]["finalizers"] = ["textto.video/output"]
        await world.client.videos.delete(video.id)
        assert documents(world)
        assert (await refused(world.client.videos.retrieve(video.id))).status_code == 404
        assert (await world.client.videos.list()).data == []

    ask(asked)


def test_a_remix_is_the_same_from_another_prompt() -> None:
    async def asked(world: OpenAiWorld) -> None:
        more = {"num_inference_steps": 10}
        first = await world.client.videos.create(
            prompt="a red circle", size="128x64", seconds="3", extra_body=more
        )
        world.finish(first.id)
        seed = world.video(first.id).resource.status.resolved.seed  # type: ignore[union-attr]
        video = await world.client.videos.remix(first.id, prompt="a blue circle")
        assert video.id != first.id
        assert (video.status, video.remixed_from_video_id) == ("queued", first.id)
        spec = world.spec(video.id)
        assert (spec.prompt, spec.width, spec.height) == ("a blue circle", 128, 64)
        assert (spec.num_frames, spec.num_inference_steps, spec.seed) == (24, 10, seed)
        again = await world.client.videos.retrieve(video.id)
        assert again.remixed_from_video_id == first.id
        assert first.remixed_from_video_id is None

    ask(asked)


def test_a_remix_repeats_nothing_that_a_caller_could_not_have_asked_for() -> None:
    async def asked(world: OpenAiWorld) -> None:
        key = world.world.keys.find(world.world.key.text)
        assert key
        others = {"keySecretRef": {"name": "somebodys"}, "priorityClassName": "first"}
        others |= {"webhook": "https://evil.example.com/hook"}
        others |= {"pool": world.world.gateway.config.pools[0].name}
        spec = TextToVideoJobSpec.parse({"modelId": "tiny-shapes", "prompt": "a cat"} | others)
        first = id_of(await world.world.gateway.submitter.submit(key, spec))
        world.finish(first)
        video = await world.client.videos.remix(first, prompt="a dog")
        assert set(world.spec(video.id).document()) & {*others} == set()

    ask(asked)


@pytest.mark.parametrize("path", ["videos", "models", "videos/video_1"])
def test_a_key_in_the_address_is_refused_though_it_is_valid(path: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        bearer = {"Authorization": f"Bearer {world.world.key.text}"}
        url = f"/v1/{path}?key={world.world.key.text}"
        answer = await world.world.client.get(url, headers=bearer)
        assert answer.status_code == 400
        assert "a key never goes into the address" in answer.json()["error"]["message"]

    ask(asked)


def test_only_a_finished_video_is_remixed() -> None:
    async def asked(world: OpenAiWorld) -> None:
        first = await world.client.videos.create(prompt="a red circle")
        error = await refused(world.client.videos.remix(first.id, prompt="a blue circle"))
        assert (error.status_code, error.param) == (400, "video_id")
        assert "is queued; only a completed video can be remixed" in error.message
        assert len(documents(world)) == 1

    ask(asked)


def test_models_are_listed_with_what_a_request_gets_from_them() -> None:
    async def asked(world: OpenAiWorld) -> None:
        (model,) = (await world.client.models.list()).data
        assert (model.id, model.object, model.owned_by) == ("tiny-shapes", "model", "text-to-video")
        one = await world.client.models.retrieve("tiny-shapes")
        extra = one.model_extra or {}
        assert (extra["size"], extra["seconds"], extra["is_ready"]) == ("64x64", "2", True)
        error = await refused(world.client.models.retrieve("sora-2"))
        assert (error.status_code, error.code) == (404, "model_not_found")

    ask(asked)


def test_a_hubs_model_is_owned_by_whose_it_is() -> None:
    source = {"hub": "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "revision": "a" * 40}
    operator = a_config_with_a_store(models=a_config(source=source).document()["models"])

    async def asked(world: OpenAiWorld) -> None:
        assert (await world.client.models.retrieve("tiny-shapes")).owned_by == "Wan-AI"

    ask(asked, operator=operator)
