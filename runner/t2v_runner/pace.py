"""How long a download will take, by how it went so far."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """How a download began: what was there then tells nothing of its pace."""

    start: float
    there: int
    total: int

    def eta(self, now: float, count: int) -> float | None:
        """Seconds until all of it is there; None before anything has come."""
        come = count - self.there
        if come <= 0 or now <= self.start:
            return None
        return round((now - self.start) / come * (self.total - count), 1)
