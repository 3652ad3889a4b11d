"""A batch: the statistics of rows that come in or go out together. Pure."""

from __future__ import annotations

from symfed_node.columns import Columns
from symfed_node.statistics.accumulate import accumulate, choose_shift
from symfed_node.statistics.device import Device
from symfed_node.statistics.errors import SchemaMismatchError
from symfed_node.statistics.merge import align, extend_features, rebase
from symfed_node.statistics.state import Feature, Statistics


def batch_of(columns: Columns, local: Statistics | None, device: Device) -> Statistics:
    """The statistics of some rows, in the order and around the shift of those that are there.

    Raises SchemaMismatchError for other attributes than theirs, ValueOutOfRangeError and GpuError.
    """
    if local is not None:
        _check_schema(local.features, columns.features)
    # A shift of their own keeps the digits of rows that lie far from the first ones.
    batch = accumulate(columns.values, columns.features, choose_shift(columns.values), device)
    if local is None:
        return batch
    batch = align(batch, local.features)
    if local.rows == 0:
        return batch
    return rebase(batch, local.shift)


def _check_schema(known: tuple[Feature, ...], given: tuple[Feature, ...]) -> None:
    extend_features(known, given)
    names, given_names = {f.name for f in known}, {f.name for f in given}
    if names != given_names:
        missing, new = sorted(names - given_names), sorted(given_names - names)
        parts = [
            f"{what} {', '.join(which)}" for what, which in (("without", missing), ("with new", new)) if which
        ]
        raise SchemaMismatchError(
            f"rows {' and '.join(parts)}: all rows of a project must have the attributes of the first ones"
        )
