"""Many videos on one terminal screen, drawn anew as they change: what works first, what is over
last, and how many there are of each."""

import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

from t2v_operator.cli.shown import bar, remaining, stage
from t2v_operator.cli.table import padded, table

if TYPE_CHECKING:
    from t2v_client import Video

ORDER = ("Running", "Queued", "Pending", "Suspended", "Failed", "Succeeded")
COLORS = {"Running": "cyan", "Failed": "red", "Succeeded": "green", "Suspended": "yellow"}


class Screen:
    """The terminal's other screen, for as long as something is watched."""

    def __init__(self, everywhere: bool = False) -> None:
        # The operator's image has no rich; nobody watches there.
        from rich.console import Console
        from rich.live import Live

        self._everywhere = everywhere
        self._console = Console()
        self._live = Live(console=self._console, screen=True, auto_refresh=False)
        self._drawn: list[str] = []

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def draw(self, videos: "Sequence[Video]") -> None:
        """Show them as they are now; nothing is written where nothing has changed."""
        from rich.text import Text

        lines = self.lines(videos, self._console.height)
        if lines != self._drawn:
            self._drawn = lines
            text = Text("\n".join(lines), no_wrap=True, overflow="crop")
            for phase, color in COLORS.items():
                text.highlight_words([f"   {phase}"], style=color)
            self._live.update(text, refresh=True)

    def lines(self, videos: "Sequence[Video]", height: int | None) -> list[str]:
        """What is shown of them on so many lines; None: all of it."""
        width = shutil.get_terminal_size().columns
        ordered = sorted(videos, key=_rank)
        room = len(ordered) if height is None else max(1, height - 3)
        shown = ordered if len(ordered) <= room + 1 else ordered[:room]
        now = datetime.now(UTC)
        header = ["NAME", "PHASE", "", "", "STAGE", "LEFT", "PROMPT"]
        rows = [
            [
                f"{each.namespace}/{each.name}" if self._everywhere else each.name,
                each.phase,
                bar(each.percent),
                f"{each.percent:3d} %",
                stage(each),
                remaining(each, now),
                each.prompt,
            ]
            for each in shown
        ]
        told = table(header, rows, width, elastic=(0, 4)) if rows else []
        hidden = len(ordered) - len(shown)
        more = [f"… {hidden} more"] if hidden else []
        return [padded(_counted(videos), width).rstrip(), *told, *more]


def _rank(video: "Video") -> tuple[int, str, str]:
    place = ORDER.index(video.phase) if video.phase in ORDER else len(ORDER)
    return place, video.document["metadata"].get("creationTimestamp", ""), video.name


def _counted(videos: "Sequence[Video]") -> str:
    of_phase = Counter(each.phase for each in videos)
    parts = [f"{of_phase[phase]} {phase}" for phase in ORDER if of_phase[phase]]
    noun = "video" if len(videos) == 1 else "videos"
    return f"{len(videos)} {noun}: {', '.join(parts)}" if parts else "no videos yet"
