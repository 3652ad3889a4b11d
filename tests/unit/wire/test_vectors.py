"""Every form on the wire against the contract's test vectors: key, input, bytes."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from symfed_wire import bodies, documents, invitation, sealing, signing
from symfed_wire.errors import MalformedError, UnsealError

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors.json").read_text())


def test_invitation_v1_opens_the_published_sample_under_its_newest_names() -> None:
    vector = VECTORS["invitation_v1"]
    opened = invitation.open_invitation(vector["ciphertext"], vector["password"])
    assert opened == invitation.newest_names(json.loads(vector["plaintext"]))
    assert opened["fed_name"] == "nh_test_doc"
    assert opened["fed_secret_key"] == "t6Zat/ZAJyYBtmVXATUDCQ=="


def test_invitation_v1_round_trip_is_the_published_cipher() -> None:
    keys = json.loads(VECTORS["invitation_v1"]["plaintext"])
    assert invitation.open_invitation(invitation.seal_invitation(keys, "passwd"), "passwd")["fed_name"]


def test_invitation_password_over_16_bytes_is_refused_with_its_length() -> None:
    with pytest.raises(MalformedError, match="passwd: 17 bytes, at most 16"):
        invitation.seal_invitation({}, "p" * 17)


def test_invitation_with_a_wrong_password_does_not_open() -> None:
    with pytest.raises(UnsealError):
        invitation.open_invitation(VECTORS["invitation_v1"]["ciphertext"], "password")


def test_invitation_v2() -> None:
    vector = VECTORS["invitation_v2"]
    salt, nonce = bytes.fromhex(vector["salt_hex"]), bytes.fromhex(vector["nonce_hex"])
    keys = json.loads(vector["plain"])
    assert invitation.seal_invitation_v2(keys, vector["password"], salt, nonce) == vector["text"]
    assert invitation.open_invitation(vector["text"], vector["password"]) == keys


def test_body_v1() -> None:
    vector = VECTORS["body_v1"]
    assert bodies.seal_body(vector["plaintext"], vector["secret_key"]) == vector["ciphertext"]
    assert bodies.open_body(vector["ciphertext"], vector["secret_key"]) == vector["plaintext"]


@pytest.mark.parametrize("text", ["", "%%%", "AAAA", base64.b64encode(bytes(16)).decode()])
def test_body_v1_has_one_error_for_every_failure(text: str) -> None:
    with pytest.raises(UnsealError, match="does not open with this key"):
        bodies.open_body(text, VECTORS["body_v1"]["secret_key"])


def test_body_v2() -> None:
    vector = VECTORS["body_v2"]
    direction, verb, path, query, date = vector["associatedData"].split("\n")
    line = bodies.RequestLine(verb, path, query, date)
    nonce = bytes.fromhex(vector["nonce_hex"])
    assert bodies.seal_body_v2(vector["plain"], vector["secretKey"], line, direction, nonce) == vector["body"]
    assert bodies.open_body_v2(vector["body"], vector["secretKey"], line) == vector["plain"]
    with pytest.raises(UnsealError):
        bodies.open_body_v2(vector["body"], vector["secretKey"], line, "response")


@pytest.mark.parametrize("name", ["signature_with_body", "signature_without_body"])
def test_request_signature(name: str) -> None:
    vector = VECTORS[name]
    request = signing.SignedRequest(
        verb=vector["verb"],
        date=vector["sym_date"],
        customer=vector["cid"],
        resource=vector["resource"],
        query=vector["query"],
        body=vector["body"],
        md5=signing.content_md5(vector["body"].encode()),
    )
    assert request.md5 == vector["content_md5"]
    assert signing.string_to_sign(request, vector["secret_key"]) == vector["string_to_sign"]
    assert signing.sign(request, vector["secret_key"]) == vector["authorization"]
    assert signing.is_signed(request, vector["secret_key"], vector["authorization"])
    assert not signing.is_signed(request, vector["secret_key"], vector["authorization"][:-2] + "A=")


def test_websocket_signature() -> None:
    vector = VECTORS["websocket"]
    length, rest = vector["message"].split(",", 1)
    header, payload = json.loads(rest[: int(length)]), rest[int(length) :]
    date, md5, authorization, customer = header["headers"]
    text = signing.websocket_string_to_sign(
        md5=signing.content_md5(payload.encode()),
        secret_key=vector["secretKey"],
        date=date,
        customer=customer,
        payload=payload,
        url=vector["url"],
        extra_keys=header["extraKeys"],
    )
    assert text == vector["stringToSign"]
    assert md5 == signing.content_md5(payload.encode())
    assert signing.signature(text, vector["secretKey"]) == authorization


def test_join_sealing() -> None:
    vector = VECTORS["join"]
    key = base64.b64decode(vector["fed_secret_key"])
    nonce = bytes.fromhex(vector["nonce_hex"])
    arguments = (key, vector["info"], vector["associatedData"])
    assert sealing.seal(vector["plain"].encode(), *arguments, nonce) == vector["sealed"]
    assert sealing.unseal(vector["sealed"], *arguments).decode() == vector["plain"]
    with pytest.raises(UnsealError):
        sealing.unseal(vector["sealed"], key, vector["info"], "response\n" + vector["token"])


def test_sealed_to_a_public_key() -> None:
    vector = VECTORS["sealed_to"]
    recipient = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["recipient_private_hex"]))
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(vector["ephemeral_private_hex"]))
    text = sealing.seal_to(
        base64.b64decode(vector["plain"]),  # the federation key itself, not its text
        recipient.public_key().public_bytes_raw(),
        vector["info"],
        ephemeral,
        bytes.fromhex(vector["nonce_hex"]),
    )
    assert text == vector["text"]
    assert sealing.unseal_to(text, recipient, vector["info"]) == base64.b64decode(vector["plain"])
    with pytest.raises(UnsealError):
        sealing.unseal_to(text, recipient, vector["info"] + "x")


def test_snapshot_chunk() -> None:
    vector = VECTORS["snapshot_chunk"]
    _, federation, peer, epoch = vector["info"].split("|")
    sealer = sealing.ChunkSealer(base64.b64decode(vector["federation_key"]), federation, peer, int(epoch))
    sealed = base64.b64decode(vector["sealed"])
    assert sealer.seal(vector["index"], vector["plain"].encode()) == sealed
    assert sealer.unseal(vector["index"], sealed).decode() == vector["plain"]
    with pytest.raises(UnsealError):
        sealer.unseal(vector["index"] + 1, sealed)


def test_signed_head() -> None:
    vector = VECTORS["signed"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(vector["seed_hex"]))
    head = documents.SnapshotHead.model_validate(vector["object"])
    signed = documents.sign_document(head, vector["context"], key)
    assert signed.model_dump() == vector["signed"]
    public = vector["public_key"]
    assert documents.verify_document(signed, vector["context"], public, documents.SnapshotHead) == head


def test_a_changed_head_and_another_context_are_refused() -> None:
    vector = VECTORS["signed"]
    signed = documents.Signed.model_validate(vector["signed"])
    forged = signed.model_copy(
        update={
            "payload": base64.b64encode(base64.b64decode(signed.payload).replace(b"150", b"151")).decode()
        }
    )
    for document, context in ((forged, vector["context"]), (signed, documents.FEDERATION_CONTEXT)):
        with pytest.raises(documents.SignatureError, match="not signed by the expected key"):
            documents.verify_document(document, context, vector["public_key"], documents.SnapshotHead)


def test_schema_digest() -> None:
    vector = VECTORS["schema"]
    features = [(name, kind) for name, kind in vector["features"]]
    assert documents.schema_digest(features) == vector["digest"]
