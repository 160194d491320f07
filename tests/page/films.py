"""Short real films for the page's store: a few coloured things that move. No model drew them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from t2v_api.result import POSTER_FILE, PREVIEW_FILE, VIDEO_FILE
from t2v_runner.video import write_poster, write_preview, write_video

WIDTH, HEIGHT, FRAMES, FPS = 320, 200, 16, 8
Colour = tuple[int, int, int]
SCENES: dict[str, tuple[Colour, Colour, Colour, str]] = {
    "dawn": ((36, 44, 92), (246, 160, 116), (255, 226, 150), "circle"),
    "sea": ((12, 74, 96), (126, 204, 196), (248, 244, 226), "circle"),
    "night": ((10, 10, 28), (58, 44, 104), (242, 240, 232), "circle"),
    "field": ((124, 178, 220), (96, 140, 62), (198, 46, 36), "square"),
    "clay": ((228, 206, 176), (178, 92, 60), (40, 92, 84), "square"),
    "snow": ((214, 226, 238), (248, 250, 252), (44, 70, 120), "square"),
}
"""By name: above, below, what moves, and its shape."""


def write_film(folder: Path, scene: str) -> None:
    """The video, its poster and its preview."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = frames_of(scene)
    write_video(frames, FPS, folder / VIDEO_FILE)
    write_poster(frames[FRAMES // 2], folder / POSTER_FILE)
    write_preview(frames, FPS, folder / PREVIEW_FILE)


def frames_of(scene: str) -> NDArray[np.uint8]:
    """Uint8 RGB of shape (frames, height, width, 3)."""
    above, below, colour, shape = SCENES[scene]
    return np.stack([_frame(step, above, below, colour, shape) for step in range(FRAMES)])


def _frame(
    step: int, above: Colour, below: Colour, colour: Colour, shape: str
) -> NDArray[np.uint8]:
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    down = (rows / HEIGHT)[..., None]
    picture = np.array(above) * (1 - down) + np.array(below) * down
    phase = step / FRAMES * 2 * np.pi
    for ridge in range(3):
        waves = np.sin(columns / (38 - 7 * ridge) + ridge * 2 + phase * (ridge + 1) / 4)
        line = HEIGHT * (0.62 + 0.13 * ridge) + (14 - 3 * ridge) * waves
        inside = np.clip(rows - line, 0, 1)[..., None] * 0.34
        picture = picture * (1 - inside) + np.array(below) * 0.45 * inside
    x = WIDTH * (0.2 + 0.6 * step / (FRAMES - 1))
    y = HEIGHT * (0.38 - 0.16 * np.sin(np.pi * step / (FRAMES - 1)))
    if shape == "circle":
        distance = np.hypot(columns - x, rows - y)
    else:
        distance = np.maximum(abs(columns - x), abs(rows - y))
    solid = np.clip(27 - distance, 0, 1)[..., None]
    glow = np.clip(1 - distance / 90, 0, 1)[..., None] ** 2 * 0.35 * (1 - solid)
    picture = picture * (1 - solid - glow) + np.array(colour) * (solid + glow)
    return picture.clip(0, 255).astype(np.uint8)
