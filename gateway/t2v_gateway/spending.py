"""What videos have taken of GPUs: read from a status, and kept for a day of those that are gone."""

from collections import defaultdict

from t2v_api.resource import TextToVideoJobStatus

DAY_SECONDS = 24 * 3600
STEP_SECONDS = 600
"""What ended within one of these is kept as one number."""


def ran(status: TextToVideoJobStatus) -> tuple[float, float]:
    """The seconds of its attempts that are over, and since when one runs: 0 where none does.

    An attempt whose end nobody has seen was over when the next one began, or the whole.
    """
    seconds = since = 0.0
    ends = [*(each.start_time for each in status.attempts[1:]), status.completion_time]
    for attempt, later in zip(status.attempts, ends, strict=False):
        begin, end = attempt.start_time, attempt.completion_time or later
        if begin and end:
            seconds += max(0.0, (end - begin).total_seconds())
        elif begin and attempt.reason is None:
            since = begin.timestamp()
    drawn = 0.0 if status.reused else status.generation_time or 0.0
    return max(seconds, drawn), since


class Spent:
    """GPU seconds of videos that are not there any more, by key. A new process knows of none."""

    def __init__(self) -> None:
        self._by_key: defaultdict[str, defaultdict[int, float]] = defaultdict(
            lambda: defaultdict(float)
        )

    def add(self, key_id: str, ended: float, seconds: float) -> None:
        """`ended`: when the video did, in seconds since 1970."""
        if key_id and seconds:
            self._by_key[key_id][int(ended // STEP_SECONDS)] += seconds

    def of(self, key_id: str, now: float) -> float:
        """In the last 24 hours."""
        steps = self._by_key.get(key_id)
        if steps is None:
            return 0.0
        for step in [each for each in steps if (each + 1) * STEP_SECONDS <= now - DAY_SECONDS]:
            del steps[step]
        return sum(steps.values())
