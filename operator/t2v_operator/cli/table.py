"""Tables: cut to a terminal's width, whole for programs. Knows text, not what it is about.

rich measures how wide a text is on a terminal; the operator's image, which does not have it, counts
characters.
"""

import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec

GAP = "   "
NARROWEST = 12
"""Cells that a column keeps when it gives way."""


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    width: int | None = None,
    elastic: Sequence[int] = (),
) -> list[str]:
    """The lines of a table, the header first.

    `width`: cells of the terminal, None for no limit. `elastic`: the columns that give way to it,
    the first of them last; the last column of all is cut besides.
    """
    cells = [[printable(text) for text in row] for row in (header, *rows)]
    widths = [max(map(cells_of, column)) for column in zip(*cells, strict=True)]
    if width is not None:
        _fit(widths, width - len(GAP) * (len(header) - 1), elastic)
    lines = [
        GAP.join(padded(text, each) for text, each in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return lines if width is None else [padded(line, width).rstrip() for line in lines]


def printable(text: str) -> str:
    """Without what would move a terminal's cursor or do worse: a prompt may hold anything."""
    return "".join(each if each.isprintable() else " " for each in text)


def padded(text: str, width: int) -> str:
    """Exactly `width` cells, cut with an ellipsis where it is longer."""
    if cells_of(text) <= width:
        return text + " " * (width - cells_of(text))
    # No character has less than half a cell on average: combining marks stand beside others.
    cut = text[: 2 * width]
    while cells_of(cut) > width - 1:
        cut = cut[:-1]
    return cut + "…" + " " * (width - 1 - cells_of(cut))


def cells_of(text: str) -> int:
    """How wide it is on a terminal: a Chinese character is two cells."""
    return len(text) if text.isascii() else _measure()(text)


@cache
def _measure() -> Callable[[str], int]:
    if not find_spec("rich"):
        return len
    from rich.cells import cell_len

    return cell_len


def terminal_width() -> int | None:
    """Cells of the terminal that standard output is; None where it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _fit(widths: list[int], width: int, elastic: Sequence[int]) -> None:
    for index in (*reversed(elastic), len(widths) - 1):
        excess = sum(widths) - width
        if excess > 0:
            narrowest = min(widths[index], NARROWEST if index in elastic else 1)
            widths[index] = max(narrowest, widths[index] - excess)
