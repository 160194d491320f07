"""What a check found. Knows no cluster."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from t2v_operator.cli.table import printable


class Verdict(StrEnum):
    """How it stands."""

    OK = "ok"
    WARNING = "warning"
    """It works, or nobody can tell."""
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    check: str
    verdict: Verdict
    told: str
    """What was seen."""
    to_do: str = ""

    def lines(self) -> tuple[str, ...]:
        """For people: what was seen, and below it what to do."""
        first = printable(f"{self.verdict:8} {self.check:14} {self.told}")
        return (first, f"{'':24}{printable(self.to_do)}") if self.to_do else (first,)

    def document(self) -> dict[str, str]:
        """For programs."""
        names = {"to_do": "toDo"}
        return {names.get(name, name): str(value) for name, value in asdict(self).items()}


def ok(check: str, told: str) -> Finding:
    return Finding(check, Verdict.OK, told)


def warning(check: str, told: str, to_do: str = "") -> Finding:
    return Finding(check, Verdict.WARNING, told, to_do)


def fault(check: str, told: str, to_do: str) -> Finding:
    return Finding(check, Verdict.FAULT, told, to_do)
