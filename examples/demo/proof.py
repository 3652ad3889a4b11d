"""What the flow must have shown: the same bytes on every peer, and the pooled model."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from examples.demo.data import Coefficient

from symfed_wire.client.results import ModelInfo

TOLERANCE = 1e-10


@dataclass(frozen=True)
class Proof:
    """The comparison of all peers with each other and with the reference."""

    are_bytes_equal: bool
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Equal as bytes, and within the relative tolerance of the reference."""
        return self.are_bytes_equal and self.largest_difference <= TOLERANCE


def prove(federated: Mapping[str, ModelInfo], reference: tuple[Coefficient, ...]) -> Proof:
    """Compare coefficients and standard errors."""
    tables = [_table(model) for model in federated.values()]
    expected = [(c.value, c.standard_error) for c in reference]
    differences = [
        abs(found - wanted) / abs(wanted)
        for table in tables
        for row, pair in zip(table, expected, strict=True)
        for found, wanted in zip(row, pair, strict=True)
    ]
    return Proof(
        are_bytes_equal=len({_bytes(table) for table in tables}) == 1,
        largest_difference=max(differences),
    )


def _table(model: ModelInfo) -> list[tuple[float, float]]:
    return [(row.coefficient, row.std_error) for row in model.coefficients]


def _bytes(table: list[tuple[float, float]]) -> bytes:
    return b"".join(struct.pack("<2d", *row) for row in table)
