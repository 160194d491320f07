"""Kubernetes quantities, such as 500m or 24Gi: their form, and what they come to in bytes."""

import math
import re
from fractions import Fraction
from typing import Annotated

from pydantic import Field

FORM = r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$"
Quantity = Annotated[str, Field(pattern=FORM)]
"""A Kubernetes quantity, such as 500m or 4Gi."""

UNITS = {"m": Fraction(1, 1000), "": Fraction(1)}
UNITS |= {unit: Fraction(1000**power) for power, unit in enumerate("kMGTPE", start=1)}
UNITS |= {f"{unit}i": Fraction(1024**power) for power, unit in enumerate("KMGTPE", start=1)}


def bytes_of(quantity: str) -> int:
    """The bytes, rounded up as Kubernetes does. Raises ValueError."""
    if not re.fullmatch(FORM, quantity):
        raise ValueError(f"{quantity!r} is no quantity; write it like 24Gi")
    number = quantity.rstrip("mkKMGTPEi")
    return math.ceil(Fraction(number) * UNITS[quantity.removeprefix(number)])
