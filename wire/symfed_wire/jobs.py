"""Job ids: numbers that carry the peer's slot, so that any gateway replica can route them.

Slot 0 is the gateway's own. An id stays below 2**53, the largest exact integer of JSON readers.
"""

_BITS = 40
SEQUENCE_LIMIT = 1 << _BITS
SLOT_LIMIT = 1 << (53 - _BITS)


def job_id(slot: int, sequence: int) -> int:
    """Compose a job id from a peer's slot and its own counter."""
    if not 0 <= slot < SLOT_LIMIT or not 0 <= sequence < SEQUENCE_LIMIT:
        raise ValueError(f"slot {slot} or sequence {sequence} is out of range")
    return slot << _BITS | sequence


def slot_of(job: int) -> int:
    """The slot of the peer whose node holds this job."""
    return job >> _BITS
