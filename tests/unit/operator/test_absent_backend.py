"""An operator without the keys of a NATS system."""

from pathlib import Path

import pytest

from symfed_operator.backends.absent import AbsentBackend
from symfed_operator.backends.base import GoneMember, NotSupportedError, WantedFederation
from symfed_operator.backends.nats.backend import NatsBackend
from symfed_operator.backends.nats.keys import new_federation_seeds, new_member_seeds
from symfed_operator.main import managed_backend
from symfed_operator.settings import Settings

FEDERATION = WantedFederation("u1", "iris", new_federation_seeds(), 1 << 24)


@pytest.mark.parametrize("there", [(), ("seed",), ("creds",), ("seed", "creds")])
def test_nats_is_used_when_both_files_are_there(tmp_path: Path, there: tuple[str, ...]) -> None:
    for name in there:
        (tmp_path / name).write_text("secret")
    settings = Settings(
        nats_internal_hosts=("nats://n",),
        nats_advertised_hosts=("nats://n",),
        nats_operator_file=tmp_path / "seed",
        nats_system_creds=tmp_path / "creds",
        node_image="node",
    )
    assert isinstance(managed_backend(settings), NatsBackend if len(there) == 2 else AbsentBackend)


async def test_it_says_what_to_do_and_lets_everybody_go() -> None:
    backend = AbsentBackend()
    with pytest.raises(NotSupportedError, match=r"federation iris: .*nats\.enabled=true"):
        await backend.apply(FEDERATION)
    await backend.remove_member(FEDERATION, GoneMember(new_member_seeds()))
    await backend.retain_member(FEDERATION, GoneMember(new_member_seeds()))
    await backend.retain(FEDERATION)
    await backend.delete(FEDERATION)
