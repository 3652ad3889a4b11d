"""The client that shares no code with symfed, against the contract's test vectors."""

import ast
import json
from pathlib import Path
from typing import Any

from tests.foreign import signing
from tests.foreign.client import Client

UNIT = Path(__file__).parent
FOREIGN = UNIT.parent / "foreign"
VECTORS: dict[str, Any] = json.loads((UNIT / "wire" / "vectors.json").read_text())


def test_it_imports_nothing_of_symfed() -> None:
    files = list(FOREIGN.glob("*.py"))
    assert files
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(module.startswith(("symfed_", "examples")) for module in modules), file
            assert all(m.startswith("tests.foreign") for m in modules if m.startswith("tests")), file


def test_signatures_with_and_without_a_body() -> None:
    for name in ("signature_with_body", "signature_without_body"):
        vector = VECTORS[name]
        text = signing.string_to_sign(
            vector["verb"],
            vector["secret_key"],
            vector["sym_date"],
            vector["cid"],
            vector["body"],
            vector["resource"],
            vector["query"],
        )
        assert text == vector["string_to_sign"]
        assert signing.sign(vector["secret_key"], text) == vector["authorization"]


def test_a_request_carries_what_was_signed_and_no_md5() -> None:
    vector = VECTORS["signature_with_body"]
    client = Client("http://charm:8080", vector["cid"], vector["secret_key"])
    headers = client.headers("POST", vector["resource"], body=vector["body"], date=vector["sym_date"])
    assert headers == {"Authorization": vector["authorization"], "sym-date": vector["sym_date"]}


def test_bodies_are_sealed_in_the_first_form() -> None:
    vector = VECTORS["body_v1"]
    assert signing.seal_body(vector["secret_key"], vector["plaintext"]) == vector["ciphertext"]
    assert signing.open_body(vector["secret_key"], vector["ciphertext"]) == vector["plaintext"]


def test_the_published_invitation_opens_and_has_older_names() -> None:
    vector = VECTORS["invitation_v1"]
    opened = signing.open_invitation(vector["password"], vector["ciphertext"])
    assert opened == json.loads(vector["plaintext"])
    newest = {signing.OLDER_NAMES.get(key, key): value for key, value in opened.items()}
    assert signing.with_older_names(newest) == opened


def test_a_socket_message() -> None:
    vector = VECTORS["websocket"]
    date, payload = "2026-11-22 10:00:00;000000", vector["stringToSign"].split("\n")[4]
    key = vector["secretKey"]
    assert (
        signing.socket_string_to_sign(key, date, "c1", payload, vector["url"], ["p1"])
        == vector["stringToSign"]
    )
    assert signing.socket_message(key, date, "c1", payload, vector["url"], ["p1"]) == vector["message"]
