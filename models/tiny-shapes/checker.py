"""Judge a video by its pixels: which shape, colour, direction, size and background it shows.

Knows nothing about prompts, models or how the training clips were drawn: the palette and the
outlines are stated here a second time on purpose. numpy only (the command line needs PyAV).

    python checker.py video.mp4
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (225, 25, 35),
    "green": (25, 175, 55),
    "blue": (35, 75, 235),
    "yellow": (250, 220, 30),
    "purple": (155, 40, 200),
    "orange": (255, 125, 0),
}
BACKGROUNDS: Final[dict[str, tuple[int, int, int]]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
}
SHAPES: Final = ("circle", "square", "triangle", "bar")

COLOUR_TOLERANCE: Final = 60.0  # euclidean, in 0..255 units
BACKGROUND_TOLERANCE: Final = 40.0
FOREGROUND_DISTANCE: Final = 50.0  # from the background; a pixel farther off belongs to an object
SMALLEST_OBJECT_PX: Final = 80
LARGEST_SPECK_PX: Final = 10  # a second region above this counts as a second object
LEAST_OVERLAP: Final = 0.80  # soft IoU with the ideal outline; below it the shape is a lump
RADIUS_RANGE_PX: Final = (6.5, 17.0)
SMALL_BELOW_PX: Final = 11.25
LEAST_TRAVEL_PX: Final = 18.0
MOST_REST_PX: Final = 5.0
MOST_DRIFT: Final = 0.3  # sideways travel, as a share of the travel
MOST_UNEVENNESS_PX: Final = 2.0  # rms distance from a path at constant speed
LEAST_AGREEMENT: Final = 0.8  # share of frames that must show the same shape and colour


@dataclass(frozen=True)
class Verdict:
    """What the video shows. An attribute is None where the pixels show no clear value."""

    colour: str | None = None
    shape: str | None = None
    direction: str | None = None
    size: str | None = None
    background: str | None = None
    problem: str | None = None  # why the video as a whole was refused


@dataclass(frozen=True)
class _Object:
    """The one object of a frame: name, name, (x, y) and radius in pixels."""

    colour: str | None
    shape: str | None
    centre_xy: tuple[float, float]
    radius_px: float


def check(video: NDArray[np.uint8]) -> Verdict:
    """Judge frames (T, H, W, 3), uint8 RGB, T >= 2, H = W = 64 or thereabouts."""
    if video.ndim != 4 or video.shape[-1] != 3 or video.dtype != np.uint8 or len(video) < 2:
        raise ValueError(
            f"video is {video.dtype} {video.shape}; need uint8 (frames >= 2, height, width, 3)"
        )
    pixels = video.astype(np.float32)
    background = _background(pixels)
    if background is None:
        return Verdict(problem="no plain background")
    ground = np.median(_border(pixels).reshape(-1, 3), axis=0)
    objects: list[_Object] = []
    for number, frame in enumerate(pixels):
        found = _find_object(frame, ground)
        if isinstance(found, str):
            return Verdict(background=background, problem=f"frame {number}: {found}")
        objects.append(found)
    return Verdict(
        colour=_agreed([item.colour for item in objects]),
        shape=_agreed([item.shape for item in objects]),
        direction=_direction(np.array([item.centre_xy for item in objects])),
        size=_size([item.radius_px for item in objects]),
        background=background,
    )


def _border(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outermost pixels of every frame: (T, N, 3)."""
    return np.concatenate(
        [pixels[:, 0], pixels[:, -1], pixels[:, 1:-1, 0], pixels[:, 1:-1, -1]], axis=1
    )


def _background(pixels: NDArray[np.float32]) -> str | None:
    names = {
        _nearest(colour, BACKGROUNDS, BACKGROUND_TOLERANCE)
        for colour in np.median(_border(pixels), axis=1)
    }
    return names.pop() if len(names) == 1 else None


def _find_object(frame: NDArray[np.float32], ground: NDArray[np.float32]) -> _Object | str:
    """The frame's one object, or why there is not exactly one."""
    distance = np.linalg.norm(frame - ground, axis=-1)
    regions = _regions(distance > FOREGROUND_DISTANCE)
    if not regions or regions[0].sum() < SMALLEST_OBJECT_PX:
        return "no object"
    if len(regions) > 1 and regions[1].sum() > LARGEST_SPECK_PX:
        return "more than one object"
    inside = _eroded(regions[0])
    if not inside.any():
        return "no solid object"
    rgb = np.median(frame[inside], axis=0)
    covered = np.clip((frame - ground) @ (rgb - ground) / np.sum((rgb - ground) ** 2), 0, 1)
    covered = np.where(_grown(regions[0]), covered, 0)
    shape, centre, radius = _fit_outline(covered)
    return _Object(_nearest(rgb, COLOURS, COLOUR_TOLERANCE), shape, centre, radius)


def _regions(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The 4-connected regions of a mask (H, W), largest first."""
    remaining = mask.copy()
    regions = []
    while remaining.any():
        region = np.zeros_like(mask)
        region.flat[int(np.argmax(remaining))] = True
        while True:
            larger = _grown(region) & remaining
            if np.array_equal(larger, region):
                break
            region = larger
        regions.append(region)
        remaining &= ~region
    return sorted(regions, key=lambda region: -int(region.sum()))


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(mask, 1)
    up, down, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return mask | up | down | left | right


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ~_grown(~_eroded_once(mask))


def _eroded_once(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ~_grown(~mask)


def _fit_outline(
    covered: NDArray[np.float32],
) -> tuple[str | None, tuple[float, float], float]:
    """The ideal outline of this area and centroid that overlaps most: (name, centre, radius)."""
    area = float(covered.sum())
    grid_y, grid_x = np.indices(covered.shape) + 0.5
    x, y = float((covered * grid_x).sum() / area), float((covered * grid_y).sum() / area)
    fits = []
    for shape in SHAPES:
        radius = float(np.sqrt(area / _UNIT_AREA[shape]))
        ideal = _outline(shape, radius, grid_x - x, grid_y - y)
        overlap = float(np.minimum(ideal, covered).sum() / np.maximum(ideal, covered).sum())
        fits.append((overlap, shape, radius))
    overlap, best, radius = max(fits)
    return (best if overlap >= LEAST_OVERLAP else None), (x, y), radius


# Areas for radius 1: a circle, a square with half side 0.9, an upright triangle 2 wide, 2 high, a
# bar 2.4 wide, 1 high.
_UNIT_AREA: Final = {"circle": float(np.pi), "square": 3.24, "triangle": 2.0, "bar": 2.4}


def _outline(
    shape: str, radius: float, dx: NDArray[np.float64], dy: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Pixel coverage 0..1 of an ideal shape whose centroid is at dx = dy = 0."""
    if shape == "circle":
        outside = np.hypot(dx, dy) - radius
    elif shape == "square":
        outside = np.maximum(np.abs(dx), np.abs(dy)) - 0.9 * radius
    elif shape == "bar":
        outside = np.maximum(np.abs(dx) - 1.2 * radius, np.abs(dy) - 0.5 * radius)
    else:
        from_middle = dy + radius / 3  # a triangle's centroid lies a third above its base
        outside = np.maximum(
            (2 * np.abs(dx) - from_middle - radius) / np.sqrt(5), from_middle - radius
        )
    return np.clip(0.5 - outside, 0, 1)


def _direction(centres_xy: NDArray[np.float64]) -> str | None:
    """The direction of travel of centres (T, 2), if they move, or rest, evenly."""
    time = np.linspace(-0.5, 0.5, len(centres_xy))
    middle = centres_xy.mean(axis=0)
    travel = time @ (centres_xy - middle) / np.sum(time**2)
    rest = centres_xy - middle - time[:, None] * travel
    if np.sqrt(np.mean(np.sum(rest**2, axis=1))) > MOST_UNEVENNESS_PX:
        return None
    dx, dy = float(travel[0]), float(travel[1])
    main, side = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
    if main <= MOST_REST_PX:
        return "still"
    if main < LEAST_TRAVEL_PX or side > MOST_DRIFT * main:
        return None
    if abs(dx) > abs(dy):
        return "right" if dx > 0 else "left"
    return "down" if dy > 0 else "up"


def _size(radii_px: Sequence[float]) -> str | None:
    radius = float(np.median(radii_px))
    if not RADIUS_RANGE_PX[0] <= radius <= RADIUS_RANGE_PX[1]:
        return None
    return "small" if radius < SMALL_BELOW_PX else "large"


def _agreed(names: Sequence[str | None]) -> str | None:
    name, count = Counter(names).most_common(1)[0]
    return name if count >= LEAST_AGREEMENT * len(names) else None


def _nearest(
    rgb: NDArray[np.float32], palette: dict[str, tuple[int, int, int]], tolerance: float
) -> str | None:
    distances = {name: float(np.linalg.norm(rgb - value)) for name, value in palette.items()}
    name = min(distances, key=lambda key: distances[key])
    return name if distances[name] <= tolerance else None


def read_video(path: Path) -> NDArray[np.uint8]:
    """All frames of a video file: (T, H, W, 3) uint8 RGB."""
    import av

    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    return np.stack(frames)


def main() -> None:
    for name in sys.argv[1:]:
        print(json.dumps({"video": name, **asdict(check(read_video(Path(name))))}))


if __name__ == "__main__":
    main()
