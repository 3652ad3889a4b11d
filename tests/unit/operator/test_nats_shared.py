"""A federation on somebody else's NATS: its streams, addresses and grants."""

import pytest

from symfed_operator.backends.nats import shared

UID = "0f6a3f1e-7d1b-4a57-9a51-3f0a6f7f6a11"
PEER = "11111111-1111-4111-8111-111111111111"


def test_a_member_has_a_stream_of_its_own() -> None:
    layout = shared.member_layout(UID, PEER, 1 << 30)
    assert layout.name == f"SF_{UID}_{PEER}"
    assert (layout.data, layout.head) == (f"sf.{UID}.{PEER}.data", f"sf.{UID}.{PEER}.head")
    assert layout.max_bytes == 1 << 30
    address = shared.address_of(UID, PEER)
    assert (address.get, address.head) == (f"$JS.API.DIRECT.GET.SF_{UID}_{PEER}", layout.head)


def test_a_grant_tells_subjects_and_no_users() -> None:
    grant = shared.grant(UID, PEER, ("tls://nats.example:4222",))
    assert grant.model_dump(exclude_none=True) == {
        "hosts": ("tls://nats.example:4222",),
        "stream": f"SF_{UID}_{PEER}",
        "data": f"sf.{UID}.{PEER}.data",
        "head": f"sf.{UID}.{PEER}.head",
        "get": f"$JS.API.DIRECT.GET.SF_{UID}_federation",
        "heads": f"sf.{UID}.*.head",
        "ask": f"sf.{UID}.ask",
    }


@pytest.mark.parametrize(
    "version", ["2.12.12", "2.12.13", "2.14.3", "2.14.9", "2.15.0", "3.0.0", "2.15.1-RC.2"]
)
def test_versions_that_hold(version: str) -> None:
    assert shared.is_supported(version)


@pytest.mark.parametrize("version", ["2.9.10", "2.12.11", "2.13.5", "2.14.2", "1.20.0", "", "unknown"])
def test_versions_that_do_not(version: str) -> None:
    assert not shared.is_supported(version)
