"""What a request may say: images to start from, and what is refused, in OpenAI's form."""

import base64
from pathlib import Path
from typing import Any

import pytest
from openai import APIStatusError
from t2v_api.api_key import Quota

from tests.unit.builders import a_config, a_config_with_a_store
from tests.unit.gateway.openai_world import OpenAiWorld, documents
from tests.unit.gateway.test_openai import ask, refused

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


async def created(world: OpenAiWorld, reference: Any, **more: Any) -> str:
    """OpenAI's client lets no object through but in its `extra_body`."""
    if isinstance(reference, dict):
        more |= {"extra_body": {"input_reference": reference}}
    else:
        more |= {"input_reference": reference}
    return (await world.client.videos.create(prompt="it moves", **more)).id


async def starts_from(world: OpenAiWorld, reference: Any) -> str:
    image: str = world.spec(await created(world, reference)).init_image
    return image


@pytest.mark.parametrize(
    "as_given",
    [
        pytest.param(lambda _: ("cat.png", PNG, "image/png"), id="a tuple"),
        pytest.param(lambda folder: folder / "cat.png", id="a path"),
        pytest.param(lambda _: PNG, id="bytes alone"),
        pytest.param(
            lambda _: {"image_url": "data:image/png;base64," + base64.b64encode(PNG).decode()},
            id="a data URL",
        ),
    ],
)
def test_an_image_goes_to_the_store_of_the_keys_namespace(as_given: Any, tmp_path: Path) -> None:
    (tmp_path / "cat.png").write_bytes(PNG)

    async def asked(world: OpenAiWorld) -> None:
        image = await starts_from(world, as_given(tmp_path))
        name = image.removeprefix("store://")
        assert image != name
        assert world.store.files == {f"videos/films/{name}": PNG}

    ask(asked)


def test_an_images_address_is_taken_as_it_is() -> None:
    async def asked(world: OpenAiWorld) -> None:
        url = "https://example.com/cat.png"
        assert await starts_from(world, {"image_url": url}) == url
        body = {"prompt": "it moves", "input_reference": url}
        video = await world.client.post("/videos", body=body, cast_to=dict[str, Any])
        assert world.spec(video["id"]).init_image == url
        assert not world.store.files

    ask(asked)


def test_strength_goes_with_an_image() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(
            prompt="it moves", input_reference=PNG, extra_body={"strength": 0.5}
        )
        assert world.spec(video.id).strength == 0.5

    ask(asked)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        pytest.param(b"<html>", "is no image that can be used", id="a page"),
        pytest.param(b"", "is no image that can be used", id="an empty file"),
        pytest.param(
            b"\x00\x00\x00\x18ftypmp42" + bytes(100), "is no image that can be used", id="a video"
        ),
        pytest.param({"file_id": "file-1"}, "there are no files here", id="a file's id"),
        pytest.param({"image_url": "file:///etc/passwd"}, "give a file, an http", id="a path"),
        pytest.param({"image_url": "data:image/png;base64,%%%"}, "is not base64", id="no base64"),
    ],
)
def test_what_is_no_image_is_refused(reference: Any, words: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        error = await refused(created(world, reference))
        assert (error.status_code, error.param) == (400, "input_reference")
        assert words in error.message
        assert not documents(world)
        assert not world.store.files

    ask(asked)


def test_an_image_above_the_limit_is_refused() -> None:
    async def asked(world: OpenAiWorld) -> None:
        error = await refused(starts_from(world, PNG + bytes(2000)))
        assert (error.status_code, error.code) == (413, "request_too_large")

    ask(asked, upload_bytes=1024, body_bytes=10_000)


def test_a_body_above_the_limit_is_refused() -> None:
    async def asked(world: OpenAiWorld) -> None:
        error = await refused(starts_from(world, PNG + bytes(20_000)))
        assert (error.status_code, error.code) == (413, "request_too_large")

    ask(asked, upload_bytes=1024, body_bytes=10_000)


def test_a_key_over_its_quota_keeps_no_image() -> None:
    async def asked(world: OpenAiWorld) -> None:
        key, _ = world.world.keys.add(quota=Quota(jobs_in_flight=1))
        other = b"\x89PNG" + PNG[4:] + b"another"
        theirs = world.as_holder_of(key).videos
        word = {"Idempotency-Key": "first"}
        first = await theirs.create(prompt="it", input_reference=PNG, extra_headers=word)
        for headers in ({}, {"Idempotency-Key": "second"}):
            making = theirs.create(prompt="it", input_reference=other, extra_headers=headers)
            assert (await refused(making)).status_code == 429
        assert list(world.store.files.values()) == [PNG]
        again = await theirs.create(prompt="it", input_reference=PNG, extra_headers=word)
        assert again.id == first.id

    ask(asked)


def test_an_image_counts_among_what_the_key_uploads_in_a_day() -> None:
    async def asked(world: OpenAiWorld) -> None:
        reference = PNG + bytes(600)
        await created(world, reference)
        error = await refused(created(world, reference))
        assert (error.status_code, error.code) == (429, "rate_limit_exceeded")

    ask(asked, uploads_per_day_bytes=1024)


def test_where_there_is_no_store_an_address_is_asked_for() -> None:
    async def asked(world: OpenAiWorld) -> None:
        error = await refused(starts_from(world, PNG))
        assert (error.status_code, error.param) == (400, "input_reference")
        assert "takes no uploads" in error.message

    ask(asked, operator=a_config(), with_store=False)


def test_a_request_that_is_wrong_elsewhere_uploads_nothing() -> None:
    async def asked(world: OpenAiWorld) -> None:
        await refused(
            world.client.videos.create(
                prompt="it moves", input_reference=PNG, extra_body={"seed": -1}
            )
        )
        assert not world.store.files

    ask(asked)


@pytest.mark.parametrize(
    ("given", "status", "param", "code", "words"),
    [
        pytest.param(
            {"model": "sora-2"}, 404, "model", "model_not_found", "known are tiny-shapes",
            id="model",
        ),
        pytest.param(
            {"size": "big"}, 400, "size", "invalid_value", "write it like 1280x720", id="size"
        ),
        pytest.param(
            {"size": "100x64"}, 400, "width", "invalid_value", "multiple of 8", id="no multiple"
        ),
        pytest.param(
            {"size": "1024x64"}, 400, "width", "invalid_value", "draws at most 512", id="too wide"
        ),
        pytest.param(
            {"seconds": "12"}, 400, "seconds", "invalid_value",
            "tiny-shapes draws at most 32, which are 4 seconds", id="too long",
        ),
        pytest.param(
            {"seconds": "0"}, 400, "seconds", "invalid_value", "greater than 0", id="none"
        ),
        pytest.param(
            {"seconds": "soon"}, 400, "seconds", "invalid_value", "'soon'", id="no number"
        ),
        pytest.param(
            {"num_frames": 40}, 400, "num_frames", "invalid_value", "at most 32", id="frames"
        ),
        pytest.param(
            {"seconds": "2", "num_frames": 16}, 400, "num_frames", "invalid_value", "give one of",
            id="two lengths",
        ),
        pytest.param(
            {"size": "64x64", "width": 64}, 400, "size", "invalid_value", "not both", id="two sizes"
        ),
        pytest.param({"fps": 0}, 400, "fps", "invalid_value", "not '0'", id="no frames a second"),
        pytest.param(
            {"num_inference_steps": 201}, 400, "num_inference_steps", "invalid_value", "200",
            id="steps",
        ),
        pytest.param(
            {"scheduler": "Euler"}, 400, "scheduler", "invalid_value", "EulerDiscreteScheduler",
            id="scheduler",
        ),
        pytest.param(
            {"strength": 0.5}, 400, "strength", "invalid_value",
            "goes with an 'input_reference'", id="strength alone",
        ),
        pytest.param(
            {"numframes": 3}, 400, "numframes", "unknown_parameter", "did you mean 'num_frames'?",
            id="unknown",
        ),
        pytest.param(
            {"prompt": " "}, 400, "prompt", "invalid_value", "prompt", id="a blank prompt"
        ),
        pytest.param(
            {"prompt": ""}, 400, "prompt", "missing_required_parameter", "required", id="no prompt"
        ),
    ],
)  # fmt: skip
def test_what_is_refused_names_the_parameter(
    given: dict[str, Any], status: int, param: str | None, code: str, words: str
) -> None:
    async def asked(world: OpenAiWorld) -> None:
        asking = world.client.videos.create(prompt="a circle", extra_body=given)
        error = await refused(asking)
        assert (error.status_code, error.param, error.code) == (status, param, code)
        assert error.type == "invalid_request_error"
        assert words in error.message
        assert not documents(world)

    ask(asked)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[]", id="a list"),
        pytest.param(b'{"prompt": "\\ud800"}', id="half a character"),
        pytest.param(b'{"prompt": "a", "\\ud800": 1}', id="half a character as a name"),
        pytest.param(b'{"prompt": "a", "model": "\\ud800"}', id="half a character as a model"),
        pytest.param(b'{"prompt": "a", "fps": 1e400}', id="an endless number"),
        pytest.param(b'{"prompt": "a", "guidance_scale": NaN}', id="no number at all"),
        pytest.param(b'{"prompt": "a", "seed": ' + b"9" * 5000 + b"}", id="a long number"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b"--x\r\n\r\n", id="half a form"),
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_whatever_comes_is_refused_in_the_same_form(raw: bytes) -> None:
    async def asked(world: OpenAiWorld) -> None:
        answer = await _post(world, raw)
        assert answer.status_code in (400, 404)
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}

    ask(asked)


async def _post(world: OpenAiWorld, raw: bytes, key: str | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key or world.client.api_key}"}
    url = "http://gateway/v1/videos"
    return await world.client._client.post(url, content=raw, headers=headers)


def test_a_key_that_is_none_is_refused_everywhere() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        stranger = world.as_holder_of("t2v_none")
        for asking in (
            stranger.videos.create(prompt="a red circle"),
            stranger.videos.retrieve(video.id),
            stranger.videos.delete(video.id),
            stranger.videos.download_content(video.id),
            stranger.videos.remix(video.id, prompt="a blue circle"),
            stranger.models.retrieve("tiny-shapes"),
        ):
            error = await refused(asking)
            assert (error.status_code, error.code) == (401, "invalid_api_key")
        with pytest.raises(APIStatusError, match="not valid"):
            await stranger.videos.list()

    ask(asked)


def test_another_keys_video_is_as_one_that_does_not_exist() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await world.client.videos.create(prompt="a red circle")
        world.finish(video.id)
        same_namespace, _ = world.world.keys.add("films")
        another, _ = world.world.keys.add("others")
        for key in (same_namespace, another):
            videos = world.as_holder_of(key).videos
            for of in (video.id, "video_123", "video_0123"):
                for asking in (
                    videos.retrieve(of),
                    videos.delete(of),
                    videos.download_content(of),
                    videos.remix(of, prompt="a blue circle"),
                ):
                    error = await refused(asking)
                    assert error.status_code == 404
                    assert error.body == {
                        "message": f"video {of!r} was not found",
                        "type": "invalid_request_error",
                        "param": None,
                        "code": "not_found",
                    }
            assert (await videos.list()).data == []
            with pytest.raises(APIStatusError, match="was not found"):
                await videos.list(after=video.id)
        assert len(documents(world)) == 1

    ask(asked)


def test_a_quota_that_is_used_up_says_when_to_come_again() -> None:
    async def asked(world: OpenAiWorld) -> None:
        key, _ = world.world.keys.add(quota=Quota(jobs_in_flight=1))
        client = world.as_holder_of(key)
        await client.videos.create(prompt="a red circle")
        error = await refused(client.videos.create(prompt="another one"))
        assert (error.status_code, error.type) == (429, "rate_limit_error")
        assert error.code == "rate_limit_exceeded"
        assert error.response.headers["retry-after"] == "30"

    ask(asked)


def test_an_idempotency_key_goes_with_one_request() -> None:
    async def asked(world: OpenAiWorld) -> None:
        headers = {"Idempotency-Key": "one"}
        await world.client.videos.create(prompt="a red circle", extra_headers=headers)
        asking = world.client.videos.create(prompt="a blue circle", extra_headers=headers)
        assert (await refused(asking)).status_code == 422

    ask(asked)


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up"])
def test_a_list_is_asked_for_as_documented(query: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        error = await refused(world.client.get(f"/videos?{query}", cast_to=dict[str, Any]))
        assert (error.status_code, error.param) == (400, query.partition("=")[0])

    ask(asked)


def test_what_is_not_offered_says_so() -> None:
    async def asked(world: OpenAiWorld) -> None:
        asking = world.client.videos.edit(prompt="a blue circle", video=b"a video")
        error = await refused(asking)
        assert (error.status_code, error.code) == (404, "not_offered")
        error = await refused(world.client.get("/chat/completions", cast_to=dict[str, Any]))
        assert (error.status_code, error.code) == (404, "not_found")
        error = await refused(world.client.put("/videos", cast_to=dict[str, Any]))
        assert (error.status_code, error.code) == (405, "method_not_allowed")

    ask(asked)


def test_a_cluster_that_is_away_is_nobodys_fault() -> None:
    async def asked(world: OpenAiWorld) -> None:
        server = world.world.server
        server.refusals["create", "texttovideojobs"] = TimeoutError()
        error = await refused(world.client.videos.create(prompt="a red circle"))
        assert (error.status_code, error.code) == (503, "service_unavailable")
        assert error.response.headers["retry-after"] == "5"

    ask(asked, operator=a_config_with_a_store())


def test_every_address_is_in_the_openapi_document() -> None:
    async def asked(world: OpenAiWorld) -> None:
        paths = world.app.openapi()["paths"]
        ours = {(path, verb) for path in paths if path.startswith("/v1/") for verb in paths[path]}
        assert ours == {
            ("/v1/videos", "get"),
            ("/v1/videos", "post"),
            ("/v1/videos/{video_id}", "get"),
            ("/v1/videos/{video_id}", "delete"),
            ("/v1/videos/{video_id}/content", "get"),
            ("/v1/videos/{video_id}/remix", "post"),
            ("/v1/models", "get"),
            ("/v1/models/{model}", "get"),
        }
        for path, verb in ours:
            answers = paths[path][verb]["responses"]
            assert {"200", "401", "403", "429", "503", "4XX"} <= set(answers)
            assert "422" not in answers
        body = paths["/v1/videos"]["post"]["requestBody"]["content"]
        assert set(body) == {"application/json", "multipart/form-data"}
        assert "$ref" not in str(body)

    ask(asked)
