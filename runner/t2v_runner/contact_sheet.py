"""Draw a video's frames side by side: `python -m t2v_runner.contact_sheet VIDEO PNG`."""

import math
import sys
from pathlib import Path

from t2v_runner.video import read_frames

MAX_FRAMES = 32
CELL_PIXELS = 128
GAP_PIXELS = 4


def draw_contact_sheet(video: Path, sheet: Path) -> None:
    """Write at most 32 frames of `video`, evenly chosen, in reading order, as a PNG."""
    from PIL import Image

    frames = read_frames(video)
    step = math.ceil(len(frames) / MAX_FRAMES)
    chosen = [Image.fromarray(frame) for frame in frames[::step]]
    columns = math.ceil(math.sqrt(len(chosen) * 2))
    rows = math.ceil(len(chosen) / columns)
    scale = CELL_PIXELS / max(chosen[0].size)
    width, height = (max(1, round(side * scale)) for side in chosen[0].size)
    canvas = Image.new(
        "RGB",
        (columns * (width + GAP_PIXELS) + GAP_PIXELS, rows * (height + GAP_PIXELS) + GAP_PIXELS),
        "white",
    )
    for index, frame in enumerate(chosen):
        row, column = divmod(index, columns)
        cell = frame.resize((width, height), Image.Resampling.LANCZOS)
        canvas.paste(
            cell,
            (
                GAP_PIXELS + column * (width + GAP_PIXELS),
                GAP_PIXELS + row * (height + GAP_PIXELS),
            ),
        )
    unfinished = sheet.with_name(f".{sheet.name}")
    canvas.save(unfinished, format="PNG")
    unfinished.replace(sheet)


if __name__ == "__main__":
    draw_contact_sheet(Path(sys.argv[1]), Path(sys.argv[2]))
