"""Init images and videos become exactly the frames that the request asks for."""

import io
import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile
from t2v_api.request import GenerationRequest
from t2v_api.schedulers import Scheduler
from t2v_runner import init_media
from t2v_runner.errors import InitMediaRefused
from t2v_runner.init_media import read_init_frames
from t2v_runner.order import MediaRules

Frames = NDArray[np.uint8]

RED, GREEN, BLUE, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
GREYS = (0, 60, 120, 180, 240)


def a_request(**changes: Any) -> GenerationRequest:
    values: dict[str, Any] = {
        "model_id": "any",
        "prompt": "a red circle",
        "width": 64,
        "height": 64,
        "num_frames": 4,
        "fps": 8,
        "scheduler": Scheduler.DDIM,
        "num_inference_steps": 2,
        "guidance_scale": 1.0,
        "seed": 0,
    }
    return GenerationRequest(**(values | changes))


def read(path: Path, field: str = "init_image", **changes: Any) -> Frames:
    request = a_request(**{field: f"file://{path}", "strength": 0.5}, **changes)
    frames = read_init_frames(request, MediaRules(path.parent), no_store)
    assert frames is not None
    assert frames.dtype == np.uint8
    assert frames.shape == (request.num_frames, request.height, request.width, 3)
    return frames


def no_store(name: str) -> bytes:
    raise AssertionError(f"{name} is in no store")


def save(image: Image.Image, path: Path, **how: Any) -> Path:
    image.save(path, **how)
    return path


def a_video(
    path: Path,
    greys: tuple[int, ...] = GREYS,
    fps: int = 8,
    size: tuple[int, int] = (64, 64),
    codec: str = "libx264",
) -> Path:
    """One plain grey a frame."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index, grey in enumerate(greys):
            picture = np.full((size[1], size[0], 3), grey, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def greys_of(frames: Frames) -> list[int]:
    """The nearest of the greys that a video was made of, for each frame."""
    return [min(GREYS, key=lambda grey: abs(grey - float(frame.mean()))) for frame in frames]


def test_a_request_without_init_media_has_no_init_frames() -> None:
    assert read_init_frames(a_request(), MediaRules(None), no_store) is None


def test_what_is_in_the_store_is_read_from_there_and_must_be_of_the_same_types() -> None:
    png = io.BytesIO()
    Image.new("RGB", (64, 64), RED).save(png, "png")
    files = {"store://a/red.png": png.getvalue(), "store://a/page": b"<html>"}
    rules = MediaRules(None)
    request = a_request(init_image="store://a/red.png", strength=0.5)
    frames = read_init_frames(request, rules, files.__getitem__)
    assert frames is not None
    assert (frames == RED).all()
    with pytest.raises(InitMediaRefused, match="is an HTML or XML page"):
        page = a_request(init_image="store://a/page", strength=0.5)
        read_init_frames(page, rules, files.__getitem__)


def test_an_image_stands_for_every_frame(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    frames = read(save(Image.fromarray(pixels), tmp_path / "a.png"))
    assert all(np.array_equal(frame, pixels) for frame in frames)


def test_images_that_are_frames_of_the_video_are_read_once_each(tmp_path: Path) -> None:
    first = save(Image.new("RGB", (77, 33), RED), tmp_path / "a.png").as_uri()
    last = save(Image.new("RGB", (33, 77), BLUE), tmp_path / "b.png").as_uri()

    def colours(**images: str) -> list[tuple[int, ...]]:
        frames = read_init_frames(a_request(**images), MediaRules(tmp_path), no_store)
        assert frames is not None
        assert frames.shape[1:] == (64, 64, 3)
        return [tuple(frame[0, 0]) for frame in frames]

    assert colours(init_image=first) == [RED]
    assert colours(end_image=last) == [BLUE]
    assert colours(init_image=first, end_image=last) == [RED, BLUE]


def test_what_is_wrong_with_the_last_frame_names_it(tmp_path: Path) -> None:
    first = save(Image.new("RGB", (64, 64), RED), tmp_path / "a.png").as_uri()
    broken = tmp_path / "b.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    video = a_video(tmp_path / "c.mp4")
    for path, what in ((broken, "is a PNG image that is broken"), (video, "is an MP4")):
        request = a_request(init_image=first, end_image=path.as_uri())
        with pytest.raises(InitMediaRefused, match=rf"^'endImage' \(\d+ bytes\) {what}"):
            read_init_frames(request, MediaRules(tmp_path), no_store)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_image_formats_that_are_read(tmp_path: Path, suffix: str) -> None:
    frames = read(save(Image.new("RGB", (64, 64), RED), tmp_path / f"a.{suffix}"))
    assert np.abs(frames.astype(int) - RED).max() <= 2


def test_an_image_is_cropped_around_its_centre_before_it_is_scaled(tmp_path: Path) -> None:
    image = Image.new("RGB", (300, 100), RED)
    image.paste(GREEN, (100, 0, 200, 100))
    frames = read(save(image, tmp_path / "a.png"))
    assert np.abs(frames[:, :, 3:-3].astype(int) - GREEN).max() == 0


@pytest.mark.parametrize("size", [(64, 128), (128, 64)], ids=["upright", "wide"])
def test_the_frames_have_the_size_that_was_asked_for(tmp_path: Path, size: tuple[int, int]) -> None:
    path = save(Image.new("RGB", (77, 33), BLUE), tmp_path / "a.png")
    assert (read(path, width=size[0], height=size[1]) == BLUE).all()


def test_the_camera_that_was_held_upright_is_respected(tmp_path: Path) -> None:
    image = Image.new("RGB", (64, 64), RED)
    image.paste(BLUE, (0, 0, 32, 64))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned right by 90 degrees
    frame = read(save(image, tmp_path / "a.png", exif=exif))[0]
    assert tuple(frame[4, 32]) == BLUE
    assert tuple(frame[60, 32]) == RED


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_what_is_transparent_becomes_black(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (64, 64), (255, 255, 255, 0)).convert(mode)
    how = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}
    assert (read(save(image, tmp_path / "a.png", **how)) == BLACK).all()


@pytest.mark.parametrize("mode", ["1", "L", "CMYK", "YCbCr"])
def test_other_colour_modes_become_rgb(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGB", (64, 64), (255, 255, 255)).convert(mode)
    assert (read(save(image, tmp_path / "a.tiff")) >= 254).all()


def test_a_16_bit_grey_keeps_its_brightness(tmp_path: Path) -> None:
    image = Image.fromarray(np.full((64, 64), 0x8000, dtype=np.uint16))
    assert (read(save(image, tmp_path / "a.png")) == 0x80).all()


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Image.new("RGB", (64, 64)), tmp_path / "a.png")
    monkeypatch.setattr(init_media, "MAX_PIXELS", 4000)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda _: pytest.fail("decoded"))
    with pytest.raises(InitMediaRefused, match="64x64 pixels; at most 4000"):
        read(path)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    path = save(Image.new("1", (64, 64)), tmp_path / "a.png")
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + path.read_bytes()[24:29]
    claim = header + struct.pack(">I", zlib.crc32(header))
    path.write_bytes(path.read_bytes()[:12] + claim + path.read_bytes()[33:])
    with pytest.raises(InitMediaRefused, match="pixels"):
        read(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "bmp", "tiff"])
def test_an_image_that_is_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = save(Image.fromarray(noise), tmp_path / f"a.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InitMediaRefused, match=r"bytes\) is a .*broken or cut short"):
        read(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!doctype html><title>Sign in</title>", "is an HTML or XML page"),
        (b"#EXTM3U\nhttp://169.254.169.254/", "is a playlist"),
        (b"\0\0\0\x20ftypavif....", "is an AVIF or HEIC image"),
        (b"%!PS-Adobe-3.0", "of no known image or video format"),
        (b"\x89PNG\r\n\x1a\n", "broken or cut short"),
    ],
    ids=["a page", "a playlist", "an unread format", "a program", "only a signature"],
)
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InitMediaRefused, match=message):
        read(path)


def test_a_video_as_init_image_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(InitMediaRefused, match="give it as 'initVideo'"):
        read(a_video(tmp_path / "a.mp4"))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_an_image_as_init_video_is_refused_with_advice(tmp_path: Path, suffix: str) -> None:
    path = save(Image.new("RGB", (64, 64)), tmp_path / f"a.{suffix}")
    with pytest.raises(InitMediaRefused, match="give it as 'initImage'"):
        read(path, "init_video")


@pytest.mark.parametrize(
    ("fps", "num_frames", "shown"),
    [
        (8, 5, [0, 60, 120, 180, 240]),
        (4, 3, [0, 120, 240]),
        (16, 6, [0, 0, 60, 60, 120, 120]),
        (8, 8, [0, 60, 120, 180, 240, 240, 240, 240]),
        (8, 2, [0, 60]),
    ],
    ids=["as it is", "half as fast", "twice as fast", "longer: the last holds", "shorter"],
)
@pytest.mark.parametrize(
    ("suffix", "codec"),
    [("mp4", "libx264"), ("webm", "libvpx"), ("mkv", "libx264"), ("avi", "mpeg4")],
)
def test_a_video_shows_at_each_time_what_it_shows_then(
    tmp_path: Path, fps: int, num_frames: int, shown: list[int], suffix: str, codec: str
) -> None:
    path = a_video(tmp_path / f"a.{suffix}", codec=codec)
    assert greys_of(read(path, "init_video", fps=fps, num_frames=num_frames)) == shown


@pytest.mark.parametrize("fps", [24, 30, 60])
def test_times_that_the_container_has_rounded_repeat_no_frame(tmp_path: Path, fps: int) -> None:
    path = a_video(tmp_path / "a.mkv", fps=fps)
    assert greys_of(read(path, "init_video", fps=fps, num_frames=5)) == list(GREYS)


def test_a_video_is_scaled_to_the_size_that_was_asked_for(tmp_path: Path) -> None:
    path = a_video(tmp_path / "a.mp4", size=(160, 90))
    assert greys_of(read(path, "init_video", width=96, height=128, num_frames=5)) == list(GREYS)


def test_an_animated_gif_is_a_video_too(tmp_path: Path) -> None:
    pictures = [Image.new("L", (64, 64), grey) for grey in GREYS]
    path = tmp_path / "a.gif"
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=250)
    assert greys_of(read(path, "init_video", fps=4, num_frames=5)) == list(GREYS)


def test_decoding_stops_when_enough_frames_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_video(tmp_path / "a.mp4", greys=GREYS * 40)
    seen: list[int] = []
    counted = init_media._time

    def counting(frame: Any, index: int, stream: Any, request: GenerationRequest) -> Fraction:
        seen.append(index)
        return counted(frame, index, stream, request)

    monkeypatch.setattr(init_media, "_time", counting)
    read(path, "init_video", num_frames=3)
    assert len(seen) == 4


def test_a_video_of_too_many_pixels_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_video(tmp_path / "a.mp4")
    monkeypatch.setattr(init_media, "MAX_PIXELS", 4000)
    with pytest.raises(InitMediaRefused, match="64x64 pixels; at most 4000"):
        read(path, "init_video")


def test_a_video_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    path = a_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(InitMediaRefused, match="broken or cut short"):
        read(path, "init_video")


def test_a_sound_without_pictures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(
            np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono"
        )
        silence.sample_rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(InitMediaRefused, match="without a video stream"):
        read(path, "init_video")


@pytest.mark.parametrize(
    "content",
    [b"#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/\n", b"ffconcat version 1.0\nfile '/etc/hosts'"],
    ids=["HLS", "concat"],
)
def test_a_playlist_is_never_followed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InitMediaRefused, match="is a playlist"):
        read(path, "init_video")


def test_a_playlist_behind_a_video_signature_is_not_followed_either(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x08free#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/\n")
    with pytest.raises(InitMediaRefused, match="broken or cut short"):
        read(path, "init_video")
