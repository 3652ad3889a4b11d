"""A federation in the one account of a NATS that somebody else runs. Pure: names, grants, versions.

Its members share the account, so every subject and stream carries the federation's uid and whose it is.
"""

import re
from collections.abc import Iterable
from typing import Final

from symfed_operator.backends.nats.account import ASK, DATA, FEDERATION_MAX_BYTES, HEAD
from symfed_operator.backends.nats.streams import Layout
from symfed_wire.documents import NatsAddress
from symfed_wire.join import NatsGrant
from symfed_wire.names import FEDERATION

# Older servers of these two lines crash; what comes after them does not.
_GOOD_FROM: Final = {(2, 12): 12, (2, 14): 3}
SUPPORTED: Final = "2.12.12, or 2.14.3 or newer"
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def document_layout(federation: str) -> Layout:
    """The stream of the federation document; `federation` is the uid of the Federation object."""
    return _layout(federation, FEDERATION, FEDERATION_MAX_BYTES)


def member_layout(federation: str, uuid: str, max_bytes: int) -> Layout:
    """A member's stream, which holds two snapshots of at most half of `max_bytes` each."""
    return _layout(federation, uuid, max_bytes)


def streams_of(federation: str, names: Iterable[str]) -> list[Layout]:
    """Those of a federation among the streams with these names, that of its document last."""
    prefix = _layout(federation, "", 0).name
    own = (name.removeprefix(prefix) for name in names if name.startswith(prefix))
    return [_layout(federation, who, 0) for who in sorted(own, key=lambda who: (who == FEDERATION, who))]


def address_of(federation: str, uuid: str) -> NatsAddress:
    """Where a member is read: what the federation document says about it."""
    layout = _layout(federation, uuid, 0)
    return NatsAddress(get=layout.direct_get, head=layout.head)


def grant(federation: str, uuid: str, hosts: tuple[str, ...]) -> NatsGrant:
    """What a member is told. It has no users: all log in with the credentials of the federation."""
    own = _layout(federation, uuid, 0)
    return NatsGrant(
        hosts=hosts,
        stream=own.name,
        data=own.data,
        head=own.head,
        get=document_layout(federation).direct_get,
        heads=_layout(federation, "*", 0).head,
        ask=f"sf.{federation}.{ASK}",
    )


def is_supported(version: str) -> bool:
    """Whether a NATS server of this version is known to hold; one that does not tell it is not."""
    found = _VERSION.match(version)
    if found is None:
        return False
    major, minor, patch = map(int, found.groups())
    least = _GOOD_FROM.get((major, minor))
    return patch >= least if least is not None else (major, minor) > max(_GOOD_FROM)


def _layout(federation: str, who: str, max_bytes: int) -> Layout:
    prefix = f"sf.{federation}.{who}"
    return Layout(f"SF_{federation}_{who}", f"{prefix}.{DATA}", f"{prefix}.{HEAD}", max_bytes)
