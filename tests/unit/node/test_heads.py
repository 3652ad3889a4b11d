"""Which heads are trusted, which epoch is next, and what the condition says."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from symfed_node.exchange.condition import Exchanging, after_exchange, too_few_rows
from symfed_node.exchange.heads import HeadRejectedError, SecondDigestError, check_head, next_epoch
from symfed_wire.documents import (
    HEAD_CONTEXT,
    LEAVE_CONTEXT,
    FederationDocument,
    FederationSettings,
    Member,
    SignatureError,
    Signed,
    SnapshotHead,
    sign_document,
)
from symfed_wire.errors import MalformedError

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
ONE, TWO = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
MEMBER = Member(uuid=ONE, name="one", identity_key=PUBLIC, sealing_key=PUBLIC)
DOCUMENT = FederationDocument(
    federation="f",
    name="iris",
    version=1,
    issued="2026-01-02T00:00:00Z",
    settings=FederationSettings(schedule="m1", stream_max_bytes=8 << 20),
    members=(MEMBER,),
)
SEALED = DOCUMENT.model_copy(update={"settings": FederationSettings(schedule="m1", encrypt=True)})
HEAD = SnapshotHead(
    federation="f",
    peer=ONE,
    epoch=5,
    rows=20,
    schema_digest="s",
    size=4 << 20,
    chunk=64 << 10,
    first=1,
    sha256="d",
    created="2026-01-02T00:00:00Z",
)


def signed(context: str = HEAD_CONTEXT, key: Ed25519PrivateKey = KEY, **changes: object) -> Signed:
    return sign_document(HEAD.model_copy(update=changes), context, key)


@pytest.mark.parametrize("field", ["epoch", "rows", "size", "chunk", "first", "key_generation"])
@pytest.mark.parametrize("number", [-1, 1 << 53, 10**4299])
def test_a_number_that_no_sum_can_take_is_refused(field: str, number: int) -> None:
    with pytest.raises(MalformedError, match=f"{field}: Input should be"):
        check_head(
            sign_document(HEAD.model_copy(update={field: number}), HEAD_CONTEXT, KEY), MEMBER, DOCUMENT, None
        )


def test_a_good_head() -> None:
    assert check_head(signed(), MEMBER, DOCUMENT, None) == HEAD
    assert check_head(signed(), MEMBER, DOCUMENT, HEAD) == HEAD
    older = HEAD.model_copy(update={"epoch": 4, "sha256": "other"})
    assert check_head(signed(), MEMBER, DOCUMENT, older) == HEAD


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"federation": "g"}, "the head is that of peer .* in federation g"),
        ({"peer": TWO}, f"the head is that of peer {TWO}"),
        ({"size": (4 << 20) + 1}, "the head has size 4194305"),  # a stream holds two
        ({"size": 0}, "the head has size 0"),
        ({"chunk": 0}, "chunks of 0 bytes"),
        ({"size": 1, "chunk": 0}, "chunks of 0 bytes"),
        ({"chunk": 1}, "chunks of 1 bytes"),  # a request for each of four million
        ({"chunk": (64 << 10) - 1}, "chunks of 65535 bytes"),
        ({"chunk": 1 << 21}, "chunks of 2097152 bytes"),
        ({"epoch": 4}, "epoch 4 is below 5, which was merged before"),
    ],
)
def test_heads_that_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(HeadRejectedError, match=message):
        check_head(sign_document(HEAD.model_copy(update=changes), HEAD_CONTEXT, KEY), MEMBER, DOCUMENT, HEAD)


def test_a_small_snapshot_is_one_chunk() -> None:
    small = HEAD.model_copy(update={"size": 100, "chunk": 100})
    assert check_head(sign_document(small, HEAD_CONTEXT, KEY), MEMBER, DOCUMENT, None) == small


def test_a_second_digest_for_one_epoch_is_refused() -> None:
    with pytest.raises(SecondDigestError, match="epoch 5 has a second digest"):
        check_head(signed(sha256="e"), MEMBER, DOCUMENT, HEAD)


def test_only_the_member_itself_signs_its_heads() -> None:
    with pytest.raises(SignatureError):
        check_head(signed(key=Ed25519PrivateKey.generate()), MEMBER, DOCUMENT, None)
    with pytest.raises(SignatureError):
        check_head(signed(context=LEAVE_CONTEXT), MEMBER, DOCUMENT, None)


def test_an_encrypting_federation_takes_no_open_snapshot_that_is_new() -> None:
    with pytest.raises(HeadRejectedError, match="is not sealed"):
        check_head(signed(), MEMBER, SEALED, None)
    assert check_head(signed(), MEMBER, SEALED, HEAD) == HEAD
    assert check_head(signed(key_generation=1), MEMBER, SEALED, None).key_generation == 1


@pytest.mark.parametrize(
    ("last_used", "stored", "expected"),
    [(0, 0, 1), (1, 1, 2), (1, 0, 3), (2, 1, 4), (3, 1, 4), (0, 7, 8), (9, 7, 10), (8, 7, 10)],
)
def test_the_next_epoch_is_new_and_spares_the_stored_slot(last_used: int, stored: int, expected: int) -> None:
    assert next_epoch(last_used, stored) == expected


WAITING = "a change of 3 rows waits for more: so few are not published"
NAMES = {ONE: "one", TWO: "two"}


@pytest.mark.parametrize(
    ("cannot", "left_out", "behind", "waiting", "expected"),
    [
        ("", {}, {}, 0, Exchanging(True, "Current", "")),
        ("", {}, {}, 3, Exchanging(True, "Current", WAITING)),
        ("", {}, {TWO: "no"}, 3, Exchanging(True, "PeerBehind", f"two ({TWO}): no")),
        (too_few_rows(2, 8), {}, {TWO: "no"}, 0, Exchanging(False, "TooFewRows", too_few_rows(2, 8))),
        ("x", {ONE: "a is B"}, {TWO: "no"}, 0, Exchanging(False, "SchemaMismatch", f"one ({ONE}): a is B")),
    ],
)  # fmt: skip
def test_what_the_condition_says(
    cannot: str, left_out: dict[str, str], behind: dict[str, str], waiting: int, expected: Exchanging
) -> None:
    found = after_exchange(
        names=NAMES, cannot_publish=cannot, left_out=left_out, behind=behind, waiting_rows=waiting
    )
    assert found == expected


@pytest.mark.parametrize(
    ("cannot", "left_out", "behind", "before"),
    [
        ("", {}, {}, ""),
        ("", {}, {TWO: "no"}, f"two ({TWO}): no; "),
        (too_few_rows(2, 8), {}, {}, f"{too_few_rows(2, 8)}; "),
        ("", {ONE: "a is B"}, {}, f"one ({ONE}): a is B; "),
    ],
)  # fmt: skip
def test_what_of_the_backend_does_not_work_is_always_said(
    cannot: str, left_out: dict[str, str], behind: dict[str, str], before: str
) -> None:
    found = after_exchange(
        names=NAMES,
        cannot_publish=cannot,
        left_out=left_out,
        behind=behind,
        waiting_rows=0,
        impaired="nobody is woken",
    )
    assert found.message == f"{before}nobody is woken"


def test_a_long_message_is_cut() -> None:
    behind = {f"peer {n}": "has published nothing yet" for n in range(1000)}
    found = after_exchange(names={}, cannot_publish="", left_out={}, behind=behind, waiting_rows=0)
    assert len(found.message) == 1001
