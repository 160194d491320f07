"""How parts of a video are told to people in tables. No clock."""

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from t2v_client import Video

BAR_CELLS = 10
UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def progress(video: "Video") -> str:
    """`62 %`, or nothing as long as nobody has reported."""
    return f"{video.percent} %" if video.progress or video.percent else ""


def bar(percent: int) -> str:
    """Ten cells, filled from the left."""
    filled = round(BAR_CELLS * percent / 100)
    return "█" * filled + "░" * (BAR_CELLS - filled)


def stage(video: "Video") -> str:
    """What is done now: `denoise 12/25`, or why nothing is."""
    if video.phase == "Running" and video.progress:
        told = str(video.progress.get("stage", ""))
        steps = video.progress.get("steps")
        return f"{told} {video.progress.get('step', 0)}/{steps}" if steps else told
    if video.phase == "Succeeded":
        return seconds(video.generation_seconds)
    return video.reason if video.phase != video.reason else ""


def age(since: datetime | None, now: datetime) -> str:
    """As kubectl tells it: its largest unit, two of them where it is young."""
    if since is None:
        return ""
    left = max(0, int((now - since).total_seconds()))
    parts: list[str] = []
    for unit, size in UNITS:
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size}{unit}")
            left %= size
    is_young = parts[0][-1] != "d" and int(parts[0][:-1]) < 10
    return "".join(parts[:2]) if is_young else parts[0]


def remaining(video: "Video", now: datetime) -> str:
    """`40 s` until it is there, as its runner or else the operator expects; empty for unknown."""
    if video.phase == "Running" and "etaSeconds" in video.progress:
        return seconds(video.progress["etaSeconds"])
    end = (video.status.get("estimate") or {}).get("completionTime")
    if video.is_finished or not end:
        return ""
    left = (datetime.fromisoformat(end) - now).total_seconds()
    return seconds(left) if left > 0 else ""


def seconds(number: float | None) -> str:
    """`8.9 s`, `3 min`, `2.5 h`; empty for None."""
    if number is None:
        return ""
    if number < 100:
        return f"{number:.1f} s" if number < 10 else f"{number:.0f} s"
    return f"{number / 60:.0f} min" if number < 6000 else f"{number / 3600:.1f} h"
