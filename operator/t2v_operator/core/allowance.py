"""So much a second, after a burst: what comes when it is used up is turned away. Pure."""


class Allowance:
    """Refills as time passes."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = self._left = burst
        self._since: float | None = None

    def take(self, now: float) -> bool:
        """Whether there is some left at `now` (seconds); then it is one less."""
        if self._since is not None:
            self._left = min(self._burst, self._left + (now - self._since) * self._per_second)
        self._since = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
