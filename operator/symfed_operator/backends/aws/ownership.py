"""Whose a topic or a queue is, by its tags."""

from collections.abc import Mapping

from symfed_operator.backends.aws.names import FEDERATION_TAG, PEER_TAG
from symfed_operator.backends.base import ExternalNameTakenError


def check_owner(arn: str, found: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    """Raises ExternalNameTakenError where a thing of the needed name is not ours."""
    if all(found.get(key) == value for key, value in wanted.items()):
        return
    if FEDERATION_TAG not in found:
        owner = f"has no tag {FEDERATION_TAG}, so symfed has not made it"
    else:
        tags = ", ".join(f"{key}={found[key]}" for key in (FEDERATION_TAG, PEER_TAG) if key in found)
        owner = f"belongs to somebody else ({tags})"
    raise ExternalNameTakenError(
        f"{arn} exists already and {owner}: delete it, or choose another name for the federation or the"
        " project"
    )
