"""The drawn world: one plain shape that moves, or rests, on a plain background.

Knows nothing about words, latents or networks. numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

FRAMES: Final = 16
SIZE_PX: Final = 64
FPS: Final = 8
# What no caption says, so that each seed of a prompt gives another video:
PACES_PX: Final = (1.5, 2.0)  # how far a moving shape goes in a frame: 22 to 30 px in all
SCALES: Final = (0.95, 1.05)  # of the radius that the size names
MARGIN_PX: Final = 3  # from a shape to the edge, wherever it starts
# Across its way, and at rest, a shape lies on a line of this grid: the latents' own. Between its
# lines each place would be another picture to learn, and a small denoiser draws lumps for long.
GRID_PX: Final = 8
LINES_EACH_SIDE: Final = 1  # of the middle one
OFFSETS: Final = np.arange(FRAMES) - (FRAMES - 1) / 2  # of each frame from the middle of the clip

COLOURS: Final[dict[str, tuple[int, int, int]]] = {
    "red": (225, 25, 35),
    "green": (25, 175, 55),
    "blue": (35, 75, 235),
    "yellow": (250, 220, 30),
    "purple": (155, 40, 200),
    "orange": (255, 125, 0),
}
SHAPES: Final = ("circle", "square", "triangle")
BAR: Final = "bar"  # lies flat; only the LoRA learns it (train_lora.py), not the model itself
DIRECTIONS: Final[dict[str, tuple[int, int]]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
    "still": (0, 0),
}
RADII_PX: Final[dict[str, float]] = {"small": 9.0, "large": 13.5}
BACKGROUNDS: Final[dict[str, tuple[int, int, int]]] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "gray": (128, 128, 128),
}


@dataclass(frozen=True)
class Scene:
    """What a clip shows, by name."""

    colour: str
    shape: str
    direction: str = "still"
    size: str = "large"
    background: str = "black"

    @property
    def combination(self) -> tuple[str, str, str, str]:
        """The four attributes that the held-out list is about."""
        return (self.colour, self.shape, self.direction, self.size)


def all_combinations() -> list[tuple[str, str, str, str]]:
    """Every (colour, shape, direction, size), in a fixed order: 180."""
    return list(product(COLOURS, SHAPES, DIRECTIONS, RADII_PX))


def held_out_combinations() -> list[tuple[str, str, str, str]]:
    """The tenth of all combinations that training never shows: 18.

    A Latin pattern: each colour lacks three directions once, each with another shape or size, so
    every single value, and every pair of values, is still seen often.
    """
    colours, directions, sizes = list(COLOURS), list(DIRECTIONS), list(RADII_PX)
    return [
        (colour, SHAPES[(i + j) % 3], direction, sizes[(i + j // 2) % 2])
        for i, colour in enumerate(colours)
        for j, direction in enumerate(directions)
        if (i + 2 * j) % 5 < 3
    ]


def seen_combinations() -> list[tuple[str, str, str, str]]:
    """The combinations that training shows: 162."""
    held_out = set(held_out_combinations())
    return [combination for combination in all_combinations() if combination not in held_out]


@dataclass(frozen=True)
class Take:
    """One of the many ways to film a scene."""

    radius_px: float
    centres_xy: NDArray[np.float32]  # of the shape (FRAMES, 2), in pixels


def random_take(scene: Scene, rng: np.random.Generator) -> Take:
    """Of any size near the one named, at any pace and from any start that keep the shape inside."""
    radius = RADII_PX[scene.size] * rng.uniform(*SCALES)
    step = np.array(DIRECTIONS[scene.direction]) * rng.uniform(*PACES_PX)
    room = np.maximum(SIZE_PX / 2 - MARGIN_PX - radius - np.abs(step) * OFFSETS[-1], 0)
    along = rng.uniform(-room, room)
    lines = np.minimum(room // GRID_PX, LINES_EACH_SIDE)
    across = GRID_PX * rng.integers(-lines, lines + 1)
    middle = SIZE_PX / 2 + np.where(step, along, across)
    return Take(radius, (middle + OFFSETS[:, None] * step).astype(np.float32))


def plain_take(scene: Scene) -> Take:
    """The one that keeps the named size, at the mean pace, through the middle of the frame."""
    step = np.array(DIRECTIONS[scene.direction]) * np.mean(PACES_PX)
    centres = SIZE_PX / 2 + OFFSETS[:, None] * step
    return Take(RADII_PX[scene.size], centres.astype(np.float32))


def coverage(
    shape: str, radius_px: float, centres_xy: NDArray[np.float32], side_px: int = SIZE_PX
) -> NDArray[np.float32]:
    """How much of each pixel the shape covers, 0..1, antialiased: (N, side, side) for (N, 2)."""
    grid = np.arange(side_px, dtype=np.float32) + 0.5
    dx = grid[None, None, :] - centres_xy[:, 0, None, None]
    dy = grid[None, :, None] - centres_xy[:, 1, None, None]
    return np.clip(0.5 - _signed_distance(shape, radius_px, dx, dy), 0.0, 1.0)


def draw(scene: Scene, take: Take) -> NDArray[np.uint8]:
    """The frames (N, 64, 64, 3) of a take of the scene."""
    covered = coverage(scene.shape, take.radius_px, take.centres_xy)[..., None]
    ground = np.asarray(BACKGROUNDS[scene.background], dtype=np.float32)
    colour = np.asarray(COLOURS[scene.colour], dtype=np.float32)
    return np.rint(ground + covered * (colour - ground)).astype(np.uint8)


def draw_clip(scene: Scene, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A clip (FRAMES, 64, 64, 3) of the scene."""
    return draw(scene, random_take(scene, rng))


def _signed_distance(
    shape: str, radius: float, dx: NDArray[np.float32], dy: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Pixels outside (+) or inside (-) the outline; the triangle points up."""
    if shape == "circle":
        return np.sqrt(dx**2 + dy**2) - np.float32(radius)
    if shape == "square":
        return np.maximum(np.abs(dx), np.abs(dy)) - np.float32(0.9 * radius)
    if shape == BAR:
        across = np.abs(dx) - np.float32(1.2 * radius)
        return np.maximum(across, np.abs(dy) - np.float32(0.5 * radius))
    slope = np.float32(1 / np.sqrt(5))  # the sides: from (0, -r) to (±r, r)
    sides = (2 * np.abs(dx) - dy - np.float32(radius)) * slope
    return np.maximum(sides, dy - np.float32(radius))
