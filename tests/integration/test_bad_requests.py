"""Requests that nobody should answer: badly signed, dated, addressed, or no JSON. Against all parts."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.foreign.client import Answer, Client
from tests.foreign.signing import now, seal_body
from tests.integration.bad_input import PROJECT, ROWS, Case, Target, check, each, envelope, new_target
from tests.integration.line import Line

BODY = json.dumps(ROWS)
OTHER_BODY = BODY.replace("31", "32")
STRANGERS_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
OUT_OF_SYNC = "Please update your server time, it is likely out of sync with UTC"
NO_MAP = "The body is not an encrypted JSON map under this customer's secret key"
Send = Callable[[Target], Answer]


@pytest.fixture(scope="module")
def target(line: Line) -> Target:
    """The customer of this table."""
    return new_target(line, "bad-requests")


def learn(
    change: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers,
    date: Callable[[], str] = now,
    body: str = BODY,
) -> Send:
    """`learn` of BODY, signed well, then changed."""

    def send(target: Target) -> Answer:
        path = target.client.path(f"/projects/{PROJECT}/learn")
        headers = target.client.headers("POST", path, body=BODY, date=date())
        return target.client.send("POST", path, "", body, change(headers))

    return send


def without(name: str) -> Send:
    """`learn` without a header."""
    return learn(lambda headers: {key: value for key, value in headers.items() if key != name})


def signed_for_another_path(target: Target) -> Answer:
    client = target.client
    headers = client.headers("POST", client.path(f"/projects/{PROJECT}/forget"), body=BODY)
    return client.send("POST", client.path(f"/projects/{PROJECT}/learn"), "", BODY, headers)


def with_another_query(target: Target) -> Answer:
    client = target.client
    path = client.path(f"/projects/{PROJECT}/learn")
    return client.send("POST", path, "async=true", BODY, client.headers("POST", path, "async=false", BODY))


def by(cid: str | None) -> Send:
    """`learn` with a key that is not the customer's."""
    return lambda target: Client(target.line.url, cid or target.client.cid, STRANGERS_KEY).learn(
        PROJECT, ROWS
    )


def create(body: str) -> Send:
    """`create` with any body."""
    return lambda target: target.client.call("POST", "/fedml/create", body, pid="new")


def create_sealed(plain: str) -> Send:
    """`create` with any text, sealed."""
    return lambda target: create(seal_body(target.client.secret_key, plain))(target)


def learn_text(body: str) -> Send:
    """`learn` of any text."""
    return lambda target: target.client.call("POST", f"/projects/{PROJECT}/learn", body)


def call(verb: str, path: str) -> Send:
    """A call without a body."""
    return lambda target: target.client.call(verb, path)


BASE = "/symetry/rest/bad-requests"
CASES = [
    Case("a wrong signature", by(None), 401, "Invalid Signature"),
    Case("an unknown customer", by("nobody"), 401, "Invalid Signature"),
    Case("a signature of another path", signed_for_another_path, 401, "Invalid Signature"),
    Case("a signature of another query", with_another_query, 401, "Invalid Signature"),
    Case("another body than was signed", learn(body=OTHER_BODY), 401, "Invalid Signature"),
    Case("no body though one was signed", learn(body=""), 401, "Invalid Signature"),
    Case("no signature", without("Authorization"), 400, "Authentication header is null"),
    Case("no date", without("sym-date"), 400, "sym-date header is null"),
    Case("a date of 6 minutes ago", learn(date=lambda: now(timedelta(minutes=-6))), 400, OUT_OF_SYNC),
    Case("a date in 2 minutes", learn(date=lambda: now(timedelta(minutes=2))), 400, OUT_OF_SYNC),
    Case("an unreadable date", learn(date=lambda: "yesterday"), 400, "Invalid Date Format"),
    Case(
        "an MD5 of another body",
        learn(lambda headers: {**headers, "Content-MD5": "8cP9rUCntCKkO+vyNsnM8w=="}),
        400,
        "Md5 do not match",
    ),
    Case("a path that is not there", call("GET", "/nowhere"), 404, f"No such path: {BASE}/nowhere"),
    Case(
        "a method that is not there",
        call("PUT", "/projects/list"),
        405,
        f"PUT is not possible on {BASE}/projects/list",
    ),
    Case(
        "a project that is not there",
        call("GET", "/projects/absent/info"),
        400,
        "Cannot Find SYMETRYML id[absent] for Customer id [bad-requests]",
    ),
    Case("a job that is not there", call("GET", "/jobs/1"), 400, "No such job"),
    Case("a job that is no number", call("GET", "/jobs/first"), 400, "No such job"),
    Case(
        "rows that are no JSON",
        learn_text("age;weight"),
        400,
        "DataFrame: the body is not JSON (Expecting value at line 1, column 1)",
    ),
    Case(
        "rows that end too early",
        learn_text(BODY[:-1]),
        400,
        f"DataFrame: the body is not JSON (Expecting ',' delimiter at line 1, column {len(BODY)})",
    ),
    Case(
        "JSON nested without end",
        learn_text("[" * 100_000),
        400,
        "DataFrame: the body is not JSON (nested too deep or a number too long)",
    ),
    Case("a map that is not sealed", create('{"fed_name": "f"}'), 400, NO_MAP),
    Case("a sealed text that is no JSON", create_sealed("fed_name=f"), 400, NO_MAP),
    Case("a sealed list", create_sealed("[1, 2]"), 400, NO_MAP),
    Case("base64 that does not open", create("AAAA" * 8), 400, NO_MAP),
]


@each(CASES)
def test_it_is_refused_and_nothing_comes_of_it(target: Target, case: Case) -> None:
    check(target, case)


def test_nobody_learns_who_is_a_customer(target: Target) -> None:
    known, unknown = by(None)(target), by("nobody")(target)
    assert known.body == unknown.body
    assert known.headers.keys() == unknown.headers.keys()


def test_a_body_over_the_limit_is_refused_before_it_is_sent(target: Target) -> None:
    path = target.client.path(f"/projects/{PROJECT}/learn")
    headers = {**target.client.headers("POST", path, body=BODY), "Content-Length": str(64 * 1024 * 1024 + 1)}
    answer = target.client.send("POST", path, "", "", headers)
    text = "The body is larger than 67108864 bytes; send it in parts"
    assert (answer.status, answer.envelope) == (413, envelope(413, text))
