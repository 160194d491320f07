"""upload_image: what is an image goes into the store, under a name that init_image takes."""

import asyncio
import base64
import struct
import zlib
from typing import Any

import pytest
from t2v_api.api_key import NewKey
from t2v_gateway.errors import Refused
from t2v_gateway.media import media_in
from t2v_gateway.sent import Sent
from t2v_operator.core.places import key_of_init_media
from t2v_operator.delivery.stores import StoreUnavailable

from tests.unit.gateway.world import World, a_world

URL = "/api/v1/enterprise/upload_image"


def a_png(width: int = 2, height: int = 3) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * (width + 1)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + chunk(b"IEND", b"")


JPEG = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
    b"\xff\xc4\x00\x04\0\0\xff\xc2\x00\x0b\x08\x00\x03\x00\x02\x01\x01\x11\x00\xff\xda\0\0"
)
WEBP_LOSSY = b"RIFF\x20\0\0\0WEBPVP8 \x10\0\0\0\0\0\0\x9d\x01\x2a\x02\x00\x03\x00\0\0"
WEBP_LOSSLESS = b"RIFF\x20\0\0\0WEBPVP8L\x10\0\0\0\x2f" + struct.pack("<I", 1 | 2 << 14) + b"\0"
WEBP_EXTENDED = b"RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x01\0\0\x02\0\0"
MP4 = b"\0\0\0\x20ftypisom\0\0\0\0"
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm"


class Kept:
    """A store of a dictionary."""

    prefix = "videos"

    def __init__(self, works: bool = True) -> None:
        self.files: dict[str, bytes] = {}
        self._works = works

    async def write(self, key: str, body: bytes, seconds: float) -> None:
        if not self._works:
            raise StoreUnavailable("https://store.example.com?signature=secret")
        self.files[key] = body

    async def link(self, key: str) -> str:
        return f"https://videos.example.com/{key}"


async def upload(world: World, **sent: Any) -> dict[str, Any]:
    answer = await world.client.post(URL, **sent)
    told: dict[str, Any] = answer.json()
    return told | {"code": answer.status_code}


@pytest.mark.parametrize("way", ["json", "data", "form", "file"])
def test_an_image_is_kept_under_a_name_that_a_request_takes(way: str) -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store) as world:
            key, png = world.key.text, a_png()
            text = base64.b64encode(png).decode()
            sent: dict[str, Any] = {
                "json": {"json": {"key": key, "image": text}},
                "data": {"json": {"key": key, "image": f"data:image/png;base64,{text}"}},
                "form": {"data": {"key": key, "image": text}},
                "file": {"data": {"key": key}, "files": {"image": ("../../x.sh", png)}},
            }[way]
            told = await upload(world, **sent)
            assert told["status"] == "success"
            assert (told["content_type"], told["width"], told["height"]) == ("image/png", 2, 3)
            (place,) = store.files
            assert store.files[place] == png
            assert place.startswith(f"{world.gateway.config.storage.prefix.strip('/')}/films/")
            assert told["output"] == [f"https://videos.example.com/{place}"]
            assert told["link"] == told["init_image"]
            found = key_of_init_media(told["link"], "films", world.gateway.config)
            assert found == place
            body = {"key": key, "model_id": "tiny-shapes", "prompt": "a cat", "strength": 0.5}
            made = await world.client.post(
                "/api/v1/enterprise/img2video", json=body | {"init_image": told["link"]}
            )
            assert made.json()["status"] in ("processing", "error")
            assert "init_image" not in made.json()["message"]

    asyncio.run(asked())


def test_equal_files_have_one_name() -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store) as world:
            body = {"key": world.key.text, "image": base64.b64encode(a_png()).decode()}
            first, second = [await upload(world, json=body) for _ in range(2)]
            assert first["link"] == second["link"]
            assert len(store.files) == 1

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("image", "code", "message"),
    [
        (None, 400, "image is required"),
        (7, 400, "image is 7; it must be a file of a form"),
        ("no base64!", 400, 'image is "no base64!"; it must be base64'),
        ("https://example.com/a.png", 400, "an address need not be uploaded"),
        (base64.b64encode(b"<html><script>").decode(), 400, "image is no image or video"),
        (base64.b64encode(a_png(16385)).decode(), 400, "image is 16385x3; 16384 on a side"),
        (base64.b64encode(a_png() + b"\0" * 4000).decode(), 413, "at most 4000 are taken"),
        ("A" * 400_000, 413, "the body is larger than"),
    ],
)
def test_what_is_no_image_is_refused(image: Any, code: int, message: str) -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(
            store=store, errors="HttpStatus", upload_bytes=4000, body_bytes=300_000
        ) as world:
            bearer = {"Authorization": f"Bearer {world.key.text}"}
            told = await upload(world, json={"image": image}, headers=bearer)
            assert told["code"] == code
            assert message in told["message"]
            assert not store.files

    asyncio.run(asked())


def test_who_has_no_key_uploads_nothing() -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store, errors="HttpStatus") as world:
            assert (await upload(world, files={"image": a_png()}))["code"] == 401
            assert not store.files

    asyncio.run(asked())


def test_a_large_file_needs_a_key_that_is_known_before_it_comes() -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store, errors="HttpStatus", body_bytes=1024) as world:
            image = base64.b64encode(a_png() + b"\0" * 2000).decode()
            key = world.key.text
            told = await upload(world, json={"key": key, "image": image})
            assert told["code"] == 413
            assert "as a bearer token" in told["message"]
            bearer = {"Authorization": f"Bearer {key}"}
            assert (await upload(world, json={"image": image}, headers=bearer))["code"] == 200
            wrong = {"Authorization": f"Bearer {key[:-4]}0000"}
            assert (await upload(world, json={"image": image}, headers=wrong))["code"] == 401
            other, _ = world.keys.add()
            both = {"key": other.text, "image": image}
            assert (await upload(world, json=both, headers=bearer))["code"] == 401

    asyncio.run(asked())


def test_a_key_uploads_so_much_a_day() -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store, errors="HttpStatus", uploads_per_day_bytes=1024) as world:
            image = base64.b64encode(a_png() + b"\0" * 500).decode()

            async def code(key: NewKey) -> int:
                told = await upload(world, json={"key": key.text, "image": image})
                return int(told["code"])

            other, _ = world.keys.add()
            assert [await code(world.key) for _ in range(2)] == [200, 429]
            assert await code(other) == 200

    asyncio.run(asked())


def test_the_next_day_begins_anew_and_what_was_not_kept_does_not_count() -> None:
    now = 10.0
    sent = Sent(lambda: now)
    sent.add("a", 60, 100)
    with pytest.raises(Refused) as refused:
        sent.add("a", 50, 100)
    assert (refused.value.status, refused.value.retry_after) == (429, 24 * 3600 - 10)
    sent.take_back("a", 60)
    sent.add("a", 100, 100)
    now += 24 * 3600
    sent.add("a", 100, 100)


def test_base64_may_stand_in_lines() -> None:
    async def asked() -> None:
        store = Kept()
        async with a_world(store=store, errors="HttpStatus") as world:
            image = "data:image/png;base64," + base64.encodebytes(a_png()).decode()
            told = await upload(world, json={"key": world.key.text, "image": image})
            assert told["code"] == 200
            assert list(store.files.values()) == [a_png()]
            told = await upload(world, json={"key": world.key.text, "image": "ä" + image})
            assert told["code"] == 400

    asyncio.run(asked())


def test_a_store_that_is_away_is_told_without_its_address() -> None:
    async def asked() -> None:
        async with a_world(store=Kept(works=False), errors="HttpStatus") as world:
            body = {"key": world.key.text, "image": base64.b64encode(a_png()).decode()}
            told = await upload(world, json=body)
            assert told["code"] == 503
            assert "signature" not in told["message"]

    asyncio.run(asked())


def test_without_a_store_nothing_is_uploaded() -> None:
    async def asked() -> None:
        async with a_world(errors="HttpStatus") as world:
            told = await upload(world, json={"key": world.key.text, "image": "AA=="})
            assert told["code"] == 400
            assert "takes no uploads" in told["message"]

    asyncio.run(asked())


@pytest.mark.parametrize(
    ("data", "kind", "size"),
    [
        (a_png(), "image/png", (2, 3)),
        (JPEG, "image/jpeg", (2, 3)),
        (WEBP_LOSSY, "image/webp", (2, 3)),
        (WEBP_LOSSLESS, "image/webp", (2, 3)),
        (WEBP_EXTENDED, "image/webp", (2, 3)),
        (MP4, "video/mp4", (None, None)),
        (WEBM, "video/webm", (None, None)),
    ],
)
def test_media_are_known_by_their_first_bytes(data: bytes, kind: str, size: Any) -> None:
    media = media_in(data)
    assert media
    assert (media.content_type, (media.width, media.height)) == (kind, size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"<svg>",
        a_png()[:20],
        a_png()[:40],
        a_png(0),
        JPEG[:20],
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xd9",
        WEBP_LOSSY[:20],
        WEBP_LOSSLESS[:20],
        WEBP_EXTENDED[:16],
        b"\x1a\x45\xdf\xa3matroska",
    ],
)
def test_what_is_cut_or_something_else_is_none(data: bytes) -> None:
    assert media_in(data) is None
