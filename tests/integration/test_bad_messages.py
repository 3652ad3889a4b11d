"""WebSocket messages that nobody should answer, against all parts."""

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.foreign.client import Client, Json, Socket
from tests.foreign.signing import now, socket_message
from tests.integration.bad_input import PROJECT, ROWS, Target, envelope, new_target
from tests.integration.line import Line

BODY = json.dumps(ROWS)
HEADER = (
    'The header is not {"headers": [date, MD5, signature, customer id], "extraKeys": [project id]}, '
    "for predict with the model id after the project id"
)
NO_LENGTH = "The message does not begin with its header's length, 4096 at most, and a comma"
OUT_OF_SYNC = "Please update your server time, it is likely out of sync with UTC"
STRANGERS_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture(scope="module")
def target(line: Line) -> Target:
    """The customer of this table."""
    return new_target(line, "bad-messages")


def signed(client: Client, *, url: str | None = None, date: str | None = None, payload: str = BODY) -> str:
    """A message to `learn`, any part of it changed."""
    url = url or client.server.replace("http", "ws") + "/symetry/ws/learn"
    return socket_message(client.secret_key, date or now(), client.cid, payload, url, [PROJECT])


def stranger(target: Target, cid: str) -> Client:
    return Client(target.line.url, cid, STRANGERS_KEY)


CASES: dict[str, tuple[Callable[[Target], str], int, str]] = {
    "noise": (lambda _: "noise", 400, NO_LENGTH),
    "nothing": (lambda _: "", 400, NO_LENGTH),
    "a length that is none": (lambda _: f"-1,{BODY}", 400, NO_LENGTH),
    "a header that ends too early": (
        lambda _: "140,{}",
        400,
        "The header's length is 140, but only 2 characters came",
    ),
    "a header that is no JSON": (lambda _: "5,abcde{}", 400, HEADER),
    "a header without its fields": (lambda _: f"2,{{}}{BODY}", 400, HEADER),
    "no header": (
        lambda _: f"0,{BODY}",
        400,
        "The first message of a connection needs a header",
    ),
    "a wrong signature": (
        lambda target: signed(stranger(target, target.client.cid)),
        401,
        "Invalid Signature",
    ),
    "an unknown customer": (lambda target: signed(stranger(target, "nobody")), 401, "Invalid Signature"),
    "a signature of another call": (
        lambda target: signed(target.client, url="/symetry/ws/forget"),
        401,
        "Invalid Signature",
    ),
    "another payload than was signed": (
        lambda target: signed(target.client).replace('"31"', '"32"'),
        400,
        "Md5 do not match",
    ),
    "a date of 6 minutes ago": (
        lambda target: signed(target.client, date=now(timedelta(minutes=-6))),
        400,
        OUT_OF_SYNC,
    ),
    "rows that are no JSON": (
        lambda target: signed(target.client, payload="age;weight"),
        400,
        "DataFrame: the body is not JSON (Expecting value at line 1, column 1)",
    ),
    "text in a numeric column": (
        lambda target: signed(target.client, payload=BODY.replace('"31"', '"old"')),
        400,
        "row 1, column 'age' is not a number (type C)",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_and_nothing_comes_of_it(target: Target, name: str) -> None:
    message, status, text = CASES[name]
    with target.unchanged(), target.client.socket("learn", PROJECT) as socket:
        assert socket.send_text(message(target)) == envelope(status, text)


def test_bad_rows_do_not_end_the_connection(target: Target) -> None:
    with target.client.socket("learn", PROJECT) as socket:
        assert (
            said(socket, {**ROWS, "data": [["old", "1"]]}) == "row 1, column 'age' is not a number (type C)"
        )
        assert said(socket, {**ROWS, "data": [["31"]]}) == "DataFrame: row 1 has 1 cells for 2 columns"
        assert said(socket, {**ROWS, "data": []}) == "OK"


def said(socket: Socket, rows: Json) -> str:
    """The text that answers rows."""
    return str(socket.send(rows)["statusString"])
