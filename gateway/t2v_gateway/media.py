"""What a file is, by its own first bytes: no name, no Content-Type, no decoder."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MOST_PIXELS = 16384
"""On a side."""
_NO_SIZE = (0xC4, 0xC8, 0xCC)
"""JPEG segments among C0 to CF that are no start of a frame."""


@dataclass(frozen=True)
class Media:
    """An image or video."""

    kind: str
    """image or video."""
    content_type: str
    ending: str
    """Of a file's name."""
    width: int | None = None
    """Pixels; None for a video."""
    height: int | None = None

    @property
    def is_too_large(self) -> bool:
        return max(self.width or 1, self.height or 1) > MOST_PIXELS


def media_in(data: bytes) -> Media | None:
    """None where it is none that is taken, or is cut before its size."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            return _image("png", "png", _png(data))
        if data.startswith(b"\xff\xd8\xff"):
            return _image("jpeg", "jpg", _jpeg(data))
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _image("webp", "webp", _webp(data))
    except (struct.error, IndexError):
        return None
    if data[4:8] == b"ftyp":
        return Media("video", "video/mp4", "mp4")
    if data.startswith(b"\x1a\x45\xdf\xa3") and b"webm" in data[:64]:
        return Media("video", "video/webm", "webm")
    return None


def _image(kind: str, ending: str, size: tuple[int, int] | None) -> Media | None:
    if size is None or not all(size):
        return None
    return Media("image", f"image/{kind}", ending, *size)


def _png(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/TR/png-3/#11IHDR"""
    if data[12:16] != b"IHDR" or b"IDAT" not in data:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """From the start of its frame (ITU-T T.81, B.2.2)."""
    for marker, place in _segments(data):
        if 0xC0 <= marker <= 0xCF and marker not in _NO_SIZE:
            height, width = struct.unpack(">HH", data[place + 3 : place + 7])
            return width, height
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Markers up to the first scan, each with the place of its length."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:
            return
        yield marker, place + 2
        (length,) = struct.unpack(">H", data[place + 2 : place + 4])
        place += 2 + max(2, length)


def _webp(data: bytes) -> tuple[int, int] | None:
    """https://developers.google.com/speed/webp/docs/riff_container"""
    kind = data[12:16]
    if kind == b"VP8 " and data[23:26] == b"\x9d\x01\x2a":
        width, height = struct.unpack("<HH", data[26:30])
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L" and data[20] == 0x2F:
        (bits,) = struct.unpack("<I", data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8X" and len(data) >= 30:
        width, height = (int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
        return width + 1, height + 1
    return None
