"""LTX-2's sound: in the MP4 beside its frames, and as long as they are."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from t2v_api.family import ModelFamily
from t2v_api.request import GenerationRequest
from t2v_api.result import Audio
from t2v_runner.families.reversible import wrapped
from t2v_runner.generate import generate
from t2v_runner.order import MediaRules, Order
from t2v_runner.reporter import Reporter
from t2v_runner.sound import Sound, describe, lasting
from t2v_runner.stop import StopSignal
from t2v_runner.video import read_frames, write_video

from tests.runner.drawing import Frames, Loader, a_request, check_frames, drawn, from_video
from tests.runner.tiny_models import a_profile

RATE = 24_000


def a_tone(seconds: float, rate: int = RATE, channels: int = 2, begins: float = 0.0) -> Sound:
    """440 Hz, and silence before it."""
    time = np.arange(round(seconds * rate)) / rate
    tone = np.where(time < begins, 0.0, 0.5 * np.sin(2 * np.pi * 440 * time))
    return Sound(np.repeat(tone[None], channels, axis=0).astype(np.float32), rate)


def written(path: Path, frames: int, fps: int, sound: Sound) -> Path:
    shades = np.arange(frames, dtype=np.uint8)[:, None, None, None]
    write_video(np.broadcast_to(shades, (frames, 64, 64, 3)), fps, path, sound)
    return path


def heard(path: Path) -> NDArray[np.float32]:
    """What a player plays: of shape (channels, samples)."""
    with av.open(str(path)) as container:
        parts = [each.to_ndarray() for each in container.decode(audio=0)]
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize(
    ("frames", "fps", "rate", "channels"),
    [(9, 8, 24_000, 2), (121, 24, 48_000, 2), (250, 25, 16_000, 1), (1, 60, 48_000, 2)],
    ids=str,
)
def test_a_sound_is_as_long_as_its_frames(
    tmp_path: Path, frames: int, fps: int, rate: int, channels: int
) -> None:
    sound = lasting(a_tone(frames / fps, rate, channels), Fraction(frames, fps))
    path = written(tmp_path / "video.mp4", frames, fps, sound)
    with av.open(str(path)) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (audio.codec_context.name, audio.rate, audio.channels) == ("aac", rate, channels)
        assert audio.duration is not None
        assert video.duration is not None
        assert audio.time_base is not None
        assert video.time_base is not None
        lasts = float(video.duration * video.time_base)
        assert lasts == pytest.approx(frames / fps, abs=0.001)
        assert float(audio.duration * audio.time_base) == pytest.approx(lasts, abs=0.001)
    assert len(read_frames(path)) == frames
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_a_sound_is_heard_when_its_frame_is_seen(tmp_path: Path) -> None:
    path = written(tmp_path / "video.mp4", 96, 24, a_tone(4.0, begins=3.0))
    loud = np.abs(heard(path)[0]) > 0.1
    assert np.argmax(loud) / RATE == pytest.approx(3.0, abs=0.003)
    assert loud[-RATE // 10 :].any()


def test_frames_and_sound_lie_beside_each_other_in_the_file(tmp_path: Path) -> None:
    path = written(tmp_path / "video.mp4", 240, 24, a_tone(10.0))
    with av.open(str(path)) as container:
        kinds = [each.stream.type for each in sorted(container.demux(), key=place) if each.size]
    turns = sum(one != other for one, other in pairwise(kinds))
    assert turns > 10


def place(packet: "av.Packet") -> int:
    return packet.pos or 0


def test_a_sound_of_another_length_is_cut_or_followed_by_silence() -> None:
    tone = a_tone(1.0)
    cut = lasting(tone, Fraction(1, 2))
    assert np.array_equal(cut.samples, tone.samples[:, : RATE // 2])
    longer = lasting(tone, Fraction(3, 2))
    assert longer.samples.shape == (2, RATE * 3 // 2)
    assert np.array_equal(longer.samples[:, :RATE], tone.samples)
    assert not longer.samples[:, RATE:].any()


def test_a_sound_that_is_no_sound_is_a_fault() -> None:
    with pytest.raises(FloatingPointError, match="a sound of values that are not numbers"):
        lasting(Sound(np.full((2, 100), np.nan, np.float32), 100), Fraction(1))


@pytest.mark.parametrize(("name", "rate"), [("LTX2", 24_000), ("LTX-2.3", 48_000)])
@pytest.mark.parametrize("is_video", [False, True], ids=["from text", "from a video"])
def test_ltx2_makes_a_sound_that_hangs_on_the_seed(
    load: Loader, name: str, rate: int, is_video: bool
) -> None:
    tiny = load(name)

    def sound(**changes: int) -> Sound:
        start = from_video(tiny.family, num_inference_steps=4, **changes)
        asked = start if is_video else (a_request(tiny.family, **changes), None)
        result = drawn(tiny, *asked)
        check_frames(result.frames, asked[0])
        assert result.sound
        return result.sound

    first = sound()
    assert (len(first.samples), first.rate) == (2, rate)
    assert first.samples.shape[1] == round(9 / 8 * rate)
    assert first.samples[:, : rate // 2].std() > 0
    assert np.array_equal(sound().samples, first.samples)
    assert not np.array_equal(sound(seed=8).samples, first.samples)


def test_the_record_tells_of_the_sound(tmp_path: Path, load: Loader) -> None:
    tiny = load("LTX2")

    def made(name: str) -> tuple[Audio | None, str, str]:
        order = Order(
            request=a_request(tiny.family),
            profile=a_profile(tiny.family, tiny.folder),
            output_dir=tmp_path / name,
            models_dir=tmp_path,
            media=MediaRules(folder=None),
        )
        video = generate(order, Reporter(lambda progress: None, StopSignal())).video
        return video.audio, video.sha256, video.frames_sha256

    first = made("first")
    assert first[0] == Audio(codec="aac", sample_rate=24_000, channels=2)
    # AAC comes in blocks of 1024; a player stops where the track ends.
    assert 0 <= heard(tmp_path / "first" / "video.mp4").shape[1] - 27_000 < 1024
    assert made("again") == first


def test_a_model_without_sound_has_none_in_its_video(tmp_path: Path, load: Loader) -> None:
    result = drawn(load("LTX"), a_request(ModelFamily.LTX))
    assert result.sound is None
    write_video(result.frames, 8, tmp_path / "video.mp4", result.sound)
    with av.open(str(tmp_path / "video.mp4")) as container:
        assert not container.streams.audio


def test_a_sound_of_one_channel_is_described_as_such() -> None:
    assert describe(a_tone(1.0, channels=1)).channels == 1


def test_frames_come_in_where_the_strength_says_and_the_sound_from_noise(load: Loader) -> None:
    tiny = load("LTX2")

    def times(request: GenerationRequest, start: Frames | None) -> list[tuple[float, float]]:
        seen: list[tuple[float, float]] = []

        def look(real: Any, **named: Any) -> Any:
            of_frames = named["timestep"].flatten()[0]
            of_sound = named.get("audio_timestep", named["timestep"]).flatten()[0]
            seen.append((float(of_frames), float(of_sound)))
            return real(**named)

        with wrapped(tiny.pipeline.transformer, "forward", look):
            drawn(tiny, request, start)
        return seen

    whole = times(a_request(tiny.family, num_inference_steps=8, guidance_scale=1.0), None)
    few = times(a_request(tiny.family, num_inference_steps=4, guidance_scale=1.0), None)
    left = times(*from_video(tiny.family, num_inference_steps=8, guidance_scale=1.0))
    assert [frames for frames, _ in left] == pytest.approx([frames for frames, _ in whole[4:]])
    assert [sound for _, sound in left] == pytest.approx([sound for _, sound in few])
    assert left[0][1] == 1000
