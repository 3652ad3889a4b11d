"""Kubernetes quantities such as `1Gi`."""

import re
from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Final

_SCALES: Final[Mapping[str, Decimal]] = {
    **{suffix: Decimal(10) ** power for suffix, power in zip("num", (-9, -6, -3), strict=True)},
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate(("", "k", "M", "G", "T", "P", "E"))},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}
_QUANTITY = re.compile(
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))(?:(?P<suffix>[numkMGTPE]|[KMGTPE]i)|[eE](?P<power>[+-]?\d{1,3}))?"
)


def parse_quantity(value: int | str) -> int:
    """A Kubernetes quantity as a whole number, rounded up (`1Gi` is 1073741824); ValueError if it is none."""
    match = _QUANTITY.fullmatch(str(value))
    if match is None:
        raise ValueError(f"{value!r} is not a quantity; write a number such as 1073741824 or 1Gi")
    power = match["power"]
    scale = Decimal(10) ** int(power) if power else _SCALES[match["suffix"] or ""]
    return int((Decimal(match["number"]) * scale).to_integral_value(ROUND_CEILING))
