"""Turn a request's images or init video into frames. Knows nothing of the model.

What the bytes are is told by their signature before any decoder sees them; the decoders may
then only use formats of that kind and may follow no address inside the file.
"""

import io
import re
import warnings
from collections.abc import Callable
from enum import Enum, auto
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from t2v_api.request import GenerationRequest
from t2v_api.store_name import STORE

from t2v_runner.errors import InitMediaRefused
from t2v_runner.fetch import fetch
from t2v_runner.order import MediaRules

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Frames = NDArray[np.uint8]

MAX_PIXELS = 64_000_000
"""Of an image, or of one frame of a video."""
IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
VIDEO_FORMATS = ("mov", "matroska", "avi", "gif")
"""FFmpeg's names: MP4 and MOV, Matroska and WebM, AVI, GIF. None of them is a playlist."""
TIME_TOLERANCE = Fraction(1, 1000)
"""Matroska rounds times to milliseconds: a frame that is late by less is in time."""

ReadStored = Callable[[str], bytes]
"""Takes a `store://` name, gives the file. Raises InitMediaRefused, InitMediaUnavailable."""


class _Kind(Enum):
    IMAGE = auto()
    VIDEO = auto()
    BOTH = auto()
    NEITHER = auto()


_SIGNATURES = (
    (rb"\x89PNG\r\n\x1a\n", "a PNG image", _Kind.IMAGE),
    (rb"\xff\xd8\xff", "a JPEG image", _Kind.IMAGE),
    (rb"RIFF....WEBP", "a WebP image", _Kind.IMAGE),
    (rb"BM", "a BMP image", _Kind.IMAGE),
    (rb"II\*\x00|MM\x00\*", "a TIFF image", _Kind.IMAGE),
    (rb"GIF8[79]a", "a GIF", _Kind.BOTH),
    (rb"....ftyp(avif|avis|heic|heix|hevc|mif1|msf1)", "an AVIF or HEIC image", _Kind.NEITHER),
    (rb"....(ftyp|moov|mdat|wide|free|skip)", "an MP4 or MOV video", _Kind.VIDEO),
    (rb"\x1a\x45\xdf\xa3", "a WebM or Matroska video", _Kind.VIDEO),
    (rb"RIFF....AVI ", "an AVI video", _Kind.VIDEO),
    (rb"#EXTM3U|ffconcat", "a playlist", _Kind.NEITHER),
    (rb"\s*<", "an HTML or XML page", _Kind.NEITHER),
)


def read_init_frames(
    request: GenerationRequest, rules: MediaRules, read_stored: ReadStored
) -> "Frames | None":
    """What the request starts from as uint8 RGB of shape (frames, height, width, 3).

    None without media. Images that are frames of the video: just these, the first one first. An
    image that is restyled stands for every frame. A video is resampled in time: frame i is what it
    shows at i/fps, and its last frame holds after its end. All are cropped around their centre to
    the request's aspect ratio, then scaled with LANCZOS.
    Raises InitMediaRefused, InitMediaUnavailable.
    """
    import numpy as np

    def read(url: str) -> bytes:
        return read_stored(url) if url.startswith(STORE) else fetch(url, rules)

    if request.init_video:
        return _video_frames(read(request.init_video), request)
    images = {"initImage": request.init_image, "endImage": request.end_image}
    frames = [_image(field, read(url), request) for field, url in images.items() if url]
    if not frames:
        return None
    count = 1 if request.strength is None else request.num_frames
    return np.repeat(np.stack(frames), count, axis=0)


def _image(field: str, body: bytes, request: GenerationRequest) -> "Frames":
    """Of shape (height, width, 3)."""
    import numpy as np

    what, kind = _identify(body)
    if kind is _Kind.VIDEO:
        advice = "give it as 'initVideo'" if field == "initImage" else "give an image"
        raise _refused(field, body, f"is {what}; {advice}")
    if kind is _Kind.NEITHER:
        raise _refused(field, body, f"is {what}; give a PNG, JPEG or WebP image")
    return np.asarray(_fit(_read_image(field, body, what), request.width, request.height))


def _video_frames(body: bytes, request: GenerationRequest) -> "Frames":
    import av

    what, kind = _identify(body)
    if kind is _Kind.IMAGE:
        raise _refused("initVideo", body, f"is {what}; give it as 'initImage'")
    if kind is _Kind.NEITHER:
        raise _refused("initVideo", body, f"is {what}; give an MP4 or WebM video")
    try:
        with av.open(
            io.BytesIO(body),
            options={"format_whitelist": ",".join(VIDEO_FORMATS), "protocol_whitelist": "none"},
        ) as container:
            return _resampled(container, body, what, request)
    except av.FFmpegError as error:
        raise _refused(
            "initVideo", body, f"is {what} that is broken or cut short ({error.strerror})"
        ) from None


def _resampled(container: Any, body: bytes, what: str, request: GenerationRequest) -> "Frames":
    """Decode only as far as the request's last frame."""
    import numpy as np

    if not container.streams.video:
        raise _refused("initVideo", body, f"is {what} without a video stream")
    stream = container.streams.video[0]
    _check_size("initVideo", body, what, stream.width, stream.height)
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    frames = np.empty((request.num_frames, request.height, request.width, 3), dtype=np.uint8)
    filled = 0
    shown: Any = None
    start: Fraction | None = None
    for index, frame in enumerate(container.decode(stream)):
        time = _time(frame, index, stream, request)
        start = time if start is None else start
        due = filled
        while due < request.num_frames and Fraction(due, request.fps) + TIME_TOLERANCE < (
            time - start
        ):
            due += 1
        if due > filled:
            frames[filled:due] = _picture(shown, request)
            filled = due
        shown = frame
        if filled == request.num_frames:
            return frames
    if shown is None:
        raise _refused("initVideo", body, f"is {what} without a single frame")
    frames[filled:] = _picture(shown, request)
    return frames


def _time(frame: Any, index: int, stream: Any, request: GenerationRequest) -> Fraction:
    """When `frame` is shown, in seconds; some old files say only how many come in a second."""
    if frame.pts is None or frame.time_base is None:
        return index / Fraction(stream.average_rate or request.fps)
    return Fraction(frame.pts * frame.time_base)


def _picture(frame: Any, request: GenerationRequest) -> "Frames":
    import numpy as np
    from PIL import Image

    pixels = np.rot90(frame.to_ndarray(format="rgb24"), round(frame.rotation / 90))
    return np.asarray(_fit(Image.fromarray(pixels), request.width, request.height))


def _read_image(field: str, body: bytes, what: str) -> "Image.Image":
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(body), formats=IMAGE_FORMATS)
            _check_size(field, body, what, *image.size)
            return _opaque(ImageOps.exif_transpose(image))
        except (InitMediaRefused, MemoryError):
            raise
        except Image.DecompressionBombError:
            raise _refused(field, body, f"is {what} of far too many pixels") from None
        except Exception:  # Pillow's parsers raise whatever a broken file leads them to
            raise _refused(field, body, f"is {what} that is broken or cut short") from None


def _opaque(image: "Image.Image") -> "Image.Image":
    """RGB on black: what is transparent holds no light. 16-bit greys keep their upper 8 bits."""
    from PIL import Image

    if image.mode.startswith("I"):
        import numpy as np

        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    black = Image.new("RGBA", image.size, (0, 0, 0, 255))
    return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")


def _fit(image: "Image.Image", width: int, height: int) -> "Image.Image":
    """`image` cropped around its centre and scaled; itself where it fits already."""
    from PIL import Image

    if image.size == (width, height):
        return image
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
    box = (left, top, image.width - left, image.height - top)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box)


def _identify(body: bytes) -> tuple[str, _Kind]:
    for signature, what, kind in _SIGNATURES:
        if re.match(signature, body[:64], re.DOTALL):
            return what, kind
    return "of no known image or video format", _Kind.NEITHER


def _check_size(field: str, body: bytes, what: str, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise _refused(
            field,
            body,
            f"is {what} of {width}x{height} pixels; at most {MAX_PIXELS} are taken: scale it down",
        )


def _refused(field: str, body: bytes, what: str) -> InitMediaRefused:
    return InitMediaRefused(f"{field!r} ({len(body)} bytes) {what}")
