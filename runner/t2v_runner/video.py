"""Encode frames as an MP4 that plays in browsers, and one of them as a poster."""

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from t2v_runner.sound import Sound, Track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CRF = 15
"""libx264's quality: visually lossless for generated frames."""
X264 = {
    "crf": str(CRF),
    "preset": "medium",
    "threads": "1",
    # With AVX-512 its macroblock tree reads memory that nobody wrote (seen in build 165), so the
    # same frames became other files. At this quality it saves little.
    "mbtree": "0",
}
PREVIEW_PIXELS = 480
PREVIEW_BYTES = 2 * 10**6
PREVIEW_QUALITY = 60
"""libwebp's, of 100."""


def write_video(
    frames: "NDArray[np.uint8]", fps: int, path: Path, sound: Sound | None = None
) -> None:
    """Write `frames`, uint8 RGB of shape (frames, height, width, 3), as H.264 yuv420p.

    Exactly these frames at exactly this size, at constant `fps`; the index stands before the
    data (faststart). Height and width must be even. The `sound` lies beside its frames in the file.
    """
    import av

    count, height, width, _ = frames.shape
    with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps, options=X264)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.time_base = Fraction(1, fps)
        # RGB is converted with BT.709 below; players assume another matrix unless told.
        stream.codec_context.colorspace = 1
        stream.codec_context.color_primaries = 1
        stream.codec_context.color_trc = 1
        stream.codec_context.color_range = 1
        track = Track(container, sound) if sound else None
        for index in range(count):
            picture = av.VideoFrame.from_ndarray(frames[index], format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709")
            picture.pts, picture.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(picture))
            if track:
                track.write(until=Fraction(index + 1, fps))
        container.mux(stream.encode())
        if track:
            track.end()


def write_poster(frame: "NDArray[np.uint8]", path: Path) -> None:
    """Write one frame, uint8 RGB of shape (height, width, 3), as a JPEG."""
    from PIL import Image

    Image.fromarray(frame).save(path, format="JPEG", quality=92)


def write_preview(frames: "NDArray[np.uint8]", fps: int, path: Path) -> None:
    """Write a small moving picture that never ends: an animated WebP.

    `frames` as for `write_video`. At most `PREVIEW_PIXELS` wide and high, and `PREVIEW_BYTES`
    large: a long video is shown with fewer frames, at its own speed.
    """
    from PIL import Image

    height, width = frames.shape[1:3]
    scale = min(1.0, PREVIEW_PIXELS / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    step = 1
    while True:
        pictures = [
            Image.fromarray(frame).resize(size, Image.Resampling.LANCZOS)
            for frame in frames[::step]
        ]
        pictures[0].save(
            path,
            format="WEBP",
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 * step / fps),
            loop=0,
            quality=PREVIEW_QUALITY,
            method=2,
        )
        if path.stat().st_size <= PREVIEW_BYTES or len(pictures) == 1:
            return
        step *= 2


def read_frames(path: Path) -> "NDArray[np.uint8]":
    """All frames of a video as uint8 RGB of shape (frames, height, width, 3)."""
    import av
    import numpy as np

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
