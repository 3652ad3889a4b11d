"""A managed federation as NATS accounts and users. Pure: objects in, tokens out.

One account a member (P), one for the federation (F), one for its readers (R). F and each P hold a stream and
export its newest messages and the wake-up on its head, to holders of a token only; R imports them. So what a
member stores is bounded by the server, and no request of a member runs in another's account.
"""

from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from symfed_operator.backends.base import BackendError, MemberSeeds, WantedFederation, WantedMember
from symfed_operator.backends.nats.jwt import Claims, encode
from symfed_operator.backends.nats.keys import public_key
from symfed_wire.documents import NatsAddress
from symfed_wire.join import NatsGrant
from symfed_wire.names import FEDERATION

STREAM = "SNAPSHOT"
DATA = "data"
#: where chunks go: one for even epochs, one for odd ones
SLOTS = (f"{DATA}.0", f"{DATA}.1")
HEAD = "head"
ASK = "ask"
DIRECT_GET = f"$JS.API.DIRECT.GET.{STREAM}"
#: what F may store: documents of some kB, of which the newest are kept
FEDERATION_MAX_BYTES = 16 << 20

_OPERATOR_USER_LIFE = timedelta(minutes=5)
_NO_LIMITS: dict[str, JsonValue] = {"subs": -1, "data": -1, "payload": -1}
# Leaf nodes are absent, which means none: they would bring in whole servers.
_ACCOUNT_LIMITS: dict[str, JsonValue] = {**_NO_LIMITS, "imports": -1, "exports": -1}
#: connections that a member needs to one account, its node's and the operator's, those included that are
#: broken and not yet given up
_CONNECTIONS = 8
# Tokens inside claims need a date and never expire; a fixed one keeps the claims the same.
_TOKENS_ISSUED = datetime(2025, 1, 1, tzinfo=UTC)


def address_of(uuid: str) -> NatsAddress:
    """Where the readers find a member: what the federation document says about it."""
    return NatsAddress(get=f"get.{uuid}", head=f"head.{uuid}")


def grant(federation: WantedFederation, member: WantedMember, hosts: tuple[str, ...]) -> NatsGrant:
    """What a member is told. Its user JWTs are the same every time."""
    users, seeds = member.users, member.seeds
    if users is None:
        raise BackendError(f"member {member.uuid} has no keys of NATS users")
    return NatsGrant(
        hosts=hosts,
        writer_jwt=_scoped_user(member, users.writer, seeds.writer_role, public_key(seeds.account)),
        reader_jwt=_scoped_user(
            member, users.reader, seeds.reader_role, public_key(federation.seeds.readers_account)
        ),
        stream=STREAM,
        data=DATA,
        head=HEAD,
        get=address_of(FEDERATION).get,
        heads="head.*",
        ask=ASK,
    )


def member_account(
    federation: WantedFederation, member: WantedMember, operator: str, issued: datetime
) -> str:
    """Token of a member's own account; `operator` is the seed of the operator's signing key."""
    subjects: list[JsonValue] = [*SLOTS, HEAD]
    writer = _role(member.seeds.writer_role, "writer", publish=subjects, subscribe=["_INBOX.>"])
    body = _storing_account(member.seeds.signing, [writer], federation.stream_max_bytes)
    return encode(
        "account",
        body,
        subject=public_key(member.seeds.account),
        signer=operator,
        issued=issued,
        name=f"{federation.name} {member.uuid}",
    )


def federation_account(federation: WantedFederation, operator: str, issued: datetime) -> str:
    """Token of the account that holds the federation document."""
    return encode(
        "account",
        _storing_account(federation.seeds.signing, [], FEDERATION_MAX_BYTES),
        subject=public_key(federation.seeds.account),
        signer=operator,
        issued=issued,
        name=f"{federation.name} federation",
    )


def readers_account(federation: WantedFederation, operator: str, issued: datetime) -> str:
    """Token of the readers' account: it stores nothing and imports from all the others."""
    readers = public_key(federation.seeds.readers_account)
    members = sorted(federation.members, key=lambda member: member.uuid)
    imports = _imports(readers, FEDERATION, federation.seeds.account, federation.seeds.signing)
    for member in members:
        imports += _imports(readers, member.uuid, member.seeds.account, member.seeds.signing)
    body: Claims = {
        "limits": {**_ACCOUNT_LIMITS, "conn": _CONNECTIONS * (len(members) + 1)},
        "imports": imports,
        "signing_keys": [_reader_role(member.seeds) for member in members],
    }
    return encode(
        "account",
        body,
        subject=readers,
        signer=operator,
        issued=issued,
        name=f"{federation.name} readers",
    )


def account_without_users(
    name: str, account: str, signing: str, max_bytes: int, operator: str, issued: datetime
) -> str:
    """Token of an account that is going: it still stores, but all its users but the operator's are cut."""
    body = _storing_account(signing, [], max_bytes)
    return encode(
        "account", body, subject=public_key(account), signer=operator, issued=issued, name=f"{name} going"
    )


def account_without_storage(name: str, account: str, signing: str, operator: str, issued: datetime) -> str:
    """Token of an account that is going: JetStream is off, nobody imports from it, no role is left."""
    limits: dict[str, JsonValue] = {**_ACCOUNT_LIMITS, "conn": _CONNECTIONS}
    body: Claims = {"limits": limits, "signing_keys": [public_key(signing)]}
    return encode(
        "account", body, subject=public_key(account), signer=operator, issued=issued, name=f"{name} going"
    )


def operator_user(user: str, account: str, signing: str, now: datetime) -> str:
    """Token of a short-lived user of the operator's own in an account: it looks after the stream."""
    allowed: list[JsonValue] = [f"$JS.API.STREAM.*.{STREAM}", f"$JS.API.STREAM.MSG.GET.{STREAM}", HEAD]
    body: Claims = {
        **_NO_LIMITS,
        "pub": {"allow": allowed},
        "sub": {"allow": ["_INBOX.>"]},
        "issuer_account": public_key(account),
    }
    return encode(
        "user",
        body,
        subject=user,
        signer=signing,
        issued=now,
        name="symfed-operator",
        expires=now + _OPERATOR_USER_LIFE,
    )


def deletion(accounts: list[str], operator: str, now: datetime) -> str:
    """The order to delete accounts, by public key; self-signed by the operator's signing key."""
    listed: list[JsonValue] = [*accounts]
    return encode("generic", {"accounts": listed}, subject=public_key(operator), signer=operator, issued=now)


def _storing_account(signing: str, roles: list[JsonValue], max_bytes: int) -> Claims:
    """Claims of an account with a stream that it exports."""
    return {
        "limits": {**_ACCOUNT_LIMITS, "conn": _CONNECTIONS, "disk_storage": max_bytes, "streams": 1},
        "exports": [
            {"name": "get", "subject": DIRECT_GET, "type": "service", "token_req": True},
            {"name": "head", "subject": HEAD, "type": "stream", "token_req": True},
        ],
        "signing_keys": [public_key(signing), *roles],
    }


def _imports(readers: str, name: str, account: str, signing: str) -> list[JsonValue]:
    address = address_of(name)
    return [
        _import(readers, account, signing, "service", DIRECT_GET, address.get),
        _import(readers, account, signing, "stream", HEAD, address.head),
    ]


def _import(readers: str, account: str, signing: str, kind: str, subject: str, local: str) -> JsonValue:
    exporter = public_key(account)
    token = encode(
        "activation",
        {"subject": subject, "kind": kind, "issuer_account": exporter},
        subject=readers,
        signer=signing,
        issued=_TOKENS_ISSUED,
        name=local,
    )
    return {
        "name": local,
        "subject": subject,
        "account": exporter,
        "token": token,
        "local_subject": local,
        "type": kind,
    }


def _reader_role(seeds: MemberSeeds) -> JsonValue:
    # {{name()}} is the name of the user's JWT, the member's uuid; a template is a whole subject token.
    return _role(
        seeds.reader_role,
        "reader",
        publish=["get.*", f"{ASK}.{{{{name()}}}}"],
        subscribe=["_INBOX.{{name()}}.>", "head.*", f"{ASK}.*"],
    )


def _role(seed: str, name: str, *, publish: list[JsonValue], subscribe: list[JsonValue]) -> JsonValue:
    """A scoped signing key: whoever it signs has these rights and no others."""
    return {
        "kind": "user_scope",
        "key": public_key(seed),
        "role": name,
        "template": {**_NO_LIMITS, "pub": {"allow": publish}, "sub": {"allow": subscribe}},
        "description": "",
    }


def _scoped_user(member: WantedMember, user: str, role: str, account: str) -> str:
    # Rights and limits come from the role; a scoped user that carries any is refused.
    return encode(
        "user",
        {"issuer_account": account},
        subject=user,
        signer=role,
        issued=member.issued,
        name=member.uuid,
    )
