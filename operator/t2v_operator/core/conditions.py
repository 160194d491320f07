"""The conditions of a status, as kstatus reads them. Pure; knows no kind of resource."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from t2v_api.resource import Condition


def conditions(
    holds: Mapping[str, bool],
    reason: str,
    message: str,
    generation: int,
    now: datetime,
    before: Iterable[Condition],
) -> tuple[Condition, ...]:
    """Each of `holds` with the same reason. Its time changes with its status, not its message."""
    earlier = {each.type: each for each in before}

    def condition(kind: str, held: bool) -> Condition:
        known = earlier.get(kind)
        same = known is not None and (known.status == "True") == held
        return Condition(
            type=kind,
            status="True" if held else "False",
            reason=reason,
            message=message,
            last_transition_time=known.last_transition_time if known and same else now,
            observed_generation=generation,
        )

    return tuple(condition(kind, held) for kind, held in holds.items())
