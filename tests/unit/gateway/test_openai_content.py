"""The files of a video: where they are, or through the gateway."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from t2v_gateway.settings import ContentForm
from t2v_operator.delivery.signatures import SigningKeys, signed_url
from t2v_operator.delivery.store_server import store_app

from tests.unit.builders import a_config
from tests.unit.delivery.serving import served
from tests.unit.gateway.openai_world import DIGEST, OpenAiWorld
from tests.unit.gateway.test_openai import ask, refused

KEYS = SigningKeys((b"a secret of 16 bytes",))
FOLDER = f"videos/films/{DIGEST}"
MP4 = bytes(range(256)) * 4000


async def a_finished_video(world: OpenAiWorld, **status: Any) -> str:
    video = await world.client.videos.create(prompt="a red circle")
    world.finish(video.id, **status)
    return video.id


def test_a_file_is_where_a_fresh_link_of_the_store_leads() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await a_finished_video(world)
        await world.client.videos.download_content(video)
        await world.client.videos.download_content(video, variant="thumbnail")
        urls = [str(request.url) for request in world.asked_store]
        store = "https://videos.example.com"
        assert urls == [
            f"{store}/{FOLDER}/video.mp4?signature=fresh",
            f"{store}/{FOLDER}/poster.jpg?signature=fresh",
        ]

    ask(asked)


def test_the_key_never_goes_to_the_store() -> None:
    async def asked(world: OpenAiWorld) -> None:
        await world.client.videos.download_content(await a_finished_video(world))
        (request,) = world.asked_store
        assert "authorization" not in request.headers

    ask(asked)


def test_a_video_on_a_volume_is_where_that_is_served() -> None:
    async def asked(world: OpenAiWorld) -> None:
        url = "https://videos.example.com/v/video.mp4"
        video = await a_finished_video(world, output=[url], outputUrl=url)
        await world.client.videos.download_content(video)
        assert [str(each.url) for each in world.asked_store] == [url]

    ask(asked, operator=a_config(), with_store=False)


def test_a_file_on_a_disk_is_out_of_reach() -> None:
    async def asked(world: OpenAiWorld) -> None:
        url = "file:///videos/video.mp4"
        video = await a_finished_video(world, output=[url], outputUrl=url)
        error = await refused(world.client.videos.download_content(video))
        assert (error.status_code, error.code) == (404, "not_reachable")
        assert "/videos/" not in error.message.replace(video, "")

    ask(asked, operator=a_config(), with_store=False)


@pytest.mark.parametrize(
    ("variant", "status", "code", "words"),
    [
        pytest.param("spritesheet", {}, "no_variant", "is not made", id="a spritesheet"),
        pytest.param(
            "thumbnail",
            {"output": [f"https://videos.example.com/{FOLDER}/video.mp4"]},
            "no_variant",
            "has no thumbnail",
            id="an old video's poster",
        ),
        pytest.param(
            "video",
            {"outputRemovedTime": "2026-01-02T12:00:00Z"},
            "video_expired",
            "were removed",
            id="what was removed in time",
        ),
    ],
)
def test_what_is_not_there_is_not_found(
    variant: Any, status: dict[str, Any], code: str, words: str
) -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await a_finished_video(world, **status)
        error = await refused(world.client.videos.download_content(video, variant=variant))
        assert (error.status_code, error.code) == (404, code)
        assert words in error.message
        assert not world.asked_store

    ask(asked)


def test_a_store_that_is_away_is_nobodys_fault() -> None:
    async def asked(world: OpenAiWorld) -> None:
        video = await a_finished_video(world)
        world.store.is_away = True
        error = await refused(world.client.videos.download_content(video))
        assert (error.status_code, error.type) == (503, "server_error")
        assert error.response.headers["retry-after"] == "5"

    ask(asked)


@pytest.fixture
def a_store(tmp_path: Path) -> Iterator[str]:
    """The address of a real one, which has a video."""
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "video.mp4").write_bytes(MP4)
    with served(store_app(tmp_path, lambda: KEYS)) as port:
        yield f"http://127.0.0.1:{port}"


def _reads_from(world: OpenAiWorld, address: str) -> None:
    async def grant_to_read(key: str) -> str:
        return signed_url(address, "GET", key, KEYS, 2**40)

    world.store.grant_to_read = grant_to_read  # type: ignore[method-assign]


def test_a_video_comes_through_the_gateway_where_the_store_is_out_of_reach(a_store: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        _reads_from(world, a_store)
        content = await world.client.videos.download_content(await a_finished_video(world))
        assert content.read() == MP4
        headers = content.response.headers
        assert headers["content-type"] == "video/mp4"
        assert headers["content-length"] == str(len(MP4))
        assert headers["content-disposition"] == 'inline; filename="video.mp4"'
        assert not world.asked_store

    ask(asked, content=ContentForm.STREAM)


def test_a_part_of_it_comes_through_as_well(a_store: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        _reads_from(world, a_store)
        part = await world.client.videos.download_content(
            await a_finished_video(world), extra_headers={"Range": "bytes=1000-1999"}
        )
        assert (part.response.status_code, part.read()) == (206, MP4[1000:2000])
        assert part.response.headers["content-range"] == f"bytes 1000-1999/{len(MP4)}"

    ask(asked, content=ContentForm.STREAM)


def test_a_file_that_the_store_lost_is_not_found(a_store: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        _reads_from(world, a_store)
        asking = world.client.videos.download_content(
            await a_finished_video(world), variant="thumbnail"
        )
        assert (await refused(asking)).code == "video_expired"

    ask(asked, content=ContentForm.STREAM)


def test_a_store_that_refuses_the_gateway_is_nobodys_fault(a_store: str) -> None:
    async def asked(world: OpenAiWorld) -> None:
        async def grant_to_read(key: str) -> str:
            return f"{a_store}/{key}"  # unsigned

        world.store.grant_to_read = grant_to_read  # type: ignore[method-assign]
        asking = world.client.videos.download_content(await a_finished_video(world))
        assert (await refused(asking)).status_code == 503

    ask(asked, content=ContentForm.STREAM)
