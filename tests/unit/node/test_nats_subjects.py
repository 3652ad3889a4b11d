"""Where the node reads and writes on NATS, as the grant tells it."""

import json

import pytest

from symfed_node.exchange.base import Wake
from symfed_node.exchange.connection import users_of
from symfed_node.exchange.nats_subjects import Subjects
from symfed_operator.backends.nats import account, shared
from symfed_wire.documents import AwsAddress, Member, NatsAddress
from symfed_wire.errors import MalformedError
from symfed_wire.join import NatsGrant
from symfed_wire.node_config import PeerSecrets

FEDERATION = "0f6a3f1e-7d1b-4a57-9a51-3f0a6f7f6a11"
OWN = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
KEY = "H59a8mL6NYG8iIlMRMKTn2xKKDRP5OW0rlqGbr/HFg8="
MANAGED = NatsGrant(
    hosts=("nats://nats:4222",),
    writer_jwt="w",
    reader_jwt="r",
    stream="SNAPSHOT",
    data="data",
    head="head",
    get="get.federation",
    heads="head.*",
    ask="ask",
)
SHARED = shared.grant(FEDERATION, OWN, ("nats://nats:4222",))


def _member(nats: NatsAddress | None = None, aws: AwsAddress | None = None) -> Member:
    return Member(uuid=OTHER, name="other", identity_key=KEY, sealing_key=KEY, nats=nats, aws=aws)


@pytest.mark.parametrize(
    ("grant", "address", "head"),
    [
        (MANAGED, account.address_of(OTHER), "head"),
        (SHARED, shared.address_of(FEDERATION, OTHER), f"sf.{FEDERATION}.{OTHER}.head"),
    ],
)
def test_a_members_newest_head_is_asked_for_by_its_subject_in_the_stream(
    grant: NatsGrant, address: NatsAddress, head: str
) -> None:
    place = Subjects(OWN, grant).snapshot(_member(address))
    assert place.get == address.get
    assert json.loads(place.newest()) == {"last_by_subj": head}


def test_the_document_has_its_own_place() -> None:
    managed, shared_one = Subjects(OWN, MANAGED).document, Subjects(OWN, SHARED).document
    assert (managed.get, managed.head) == ("get.federation", "head")
    assert shared_one.get == f"$JS.API.DIRECT.GET.SF_{FEDERATION}_federation"
    assert shared_one.head == f"sf.{FEDERATION}.federation.head"


@pytest.mark.parametrize(
    "address",
    [
        NatsAddress(get="$JS.API.STREAM.PURGE.SF_x", head=f"sf.{FEDERATION}.{OTHER}.head"),
        NatsAddress(get=f"$JS.API.DIRECT.GET.SF_{FEDERATION}_{OTHER}", head="head"),
        shared.address_of(FEDERATION, OWN),
        account.address_of(OTHER),
    ],
)
def test_an_address_of_another_form_is_refused(address: NatsAddress) -> None:
    with pytest.raises(MalformedError) as raised:
        Subjects(OWN, SHARED).snapshot(_member(address))
    assert f"peer {OTHER} is read at {address.get} and {address.head}; in this federation" in str(
        raised.value
    )


def test_an_address_of_another_backend_is_refused() -> None:
    aws = AwsAddress(account_id="1" * 12, region="eu-west-1", bucket="bucket", prefix="p/")
    with pytest.raises(MalformedError, match=f"has no NATS address of peer {OTHER}"):
        Subjects(OWN, MANAGED).snapshot(_member(aws=aws))


@pytest.mark.parametrize(
    ("grant", "subject", "wake"),
    [
        (MANAGED, f"head.{OTHER}", Wake.HEAD),
        (MANAGED, "head.federation", Wake.DOCUMENT),
        (MANAGED, f"head.{OWN}", None),
        (MANAGED, f"ask.{OTHER}", Wake.ASK),
        (MANAGED, f"ask.{OWN}", None),
        (SHARED, f"sf.{FEDERATION}.{OTHER}.head", Wake.HEAD),
        (SHARED, f"sf.{FEDERATION}.federation.head", Wake.DOCUMENT),
        (SHARED, f"sf.{FEDERATION}.{OWN}.head", None),
        (SHARED, f"sf.{FEDERATION}.ask.{OTHER}", Wake.ASK),
        (SHARED, f"sf.{FEDERATION}.ask.{OWN}", None),
    ],
)
def test_what_a_message_means(grant: NatsGrant, subject: str, wake: Wake | None) -> None:
    assert Subjects(OWN, grant).wake_of(subject) is wake


def test_in_a_shared_account_nobody_can_guess_where_answers_go() -> None:
    secrets = PeerSecrets(identity_seed="", sealing_seed="", nats_writer_seed="", nats_reader_seed="")
    inboxes = {user.inbox for _ in range(10) for user in users_of(OWN, SHARED, secrets, None)}
    assert len(inboxes) == 10
    assert all(inbox.startswith("_INBOX.") and len(inbox) >= 39 for inbox in inboxes)
