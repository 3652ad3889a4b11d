"""A WebSocket's messages: their form, and who signed them."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from symfed_api.auth import authenticate_message
from symfed_api.customers import Customer
from symfed_api.errors import BadRequestError, UnauthorizedError
from symfed_api.ws_messages import Message, MessageHeader, parse_message
from symfed_wire.signing import content_md5, format_date, signature, websocket_string_to_sign

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = base64.b64encode(bytes(range(16))).decode()
CUSTOMER = Customer("c1", "customer-c1", KEY)
PATH = "/symetry/ws/learn"
FULL = "ws://gateway.example.org:8080/symetry/ws/learn"
PAYLOAD = '{"attributeNames":["é"]}'


def framed(header: Any, payload: str = PAYLOAD) -> str:
    """A message with this header."""
    text = json.dumps(header)
    return f"{len(text)},{text}{payload}"


def test_a_message_is_parsed() -> None:
    header = {"headers": ["d", "m", "s", "c1"], "extraKeys": ["p1"]}
    assert parse_message(framed(header), with_model=False) == Message(
        MessageHeader("d", "m", "s", "c1", "p1"), PAYLOAD
    )
    header["extraKeys"].append("m1")
    parsed = parse_message(framed(header), with_model=True).header
    assert parsed == MessageHeader("d", "m", "s", "c1", "p1", "m1")
    assert parsed.extra_keys == ["p1", "m1"]
    assert parse_message("0," + PAYLOAD, with_model=False) == Message(None, PAYLOAD)
    assert parse_message("00,", with_model=False) == Message(None, "")


BEGINNING = "The message does not begin with its header's length, 4096 at most, and a comma"
FORM = "The header is not "


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", BEGINNING),
        (PAYLOAD, BEGINNING),
        (",x", BEGINNING),
        ("-1,x", BEGINNING),
        ("+1,x", BEGINNING),
        (" 1,x", BEGINNING),
        ("1.0,x", BEGINNING),
        ("\u0661,x", BEGINNING),
        ("12", BEGINNING),
        ("99999999,x", BEGINNING),
        ("4097," + "x" * 5000, "The header is longer than 4096 characters"),
        ("3,ab", "The header's length is 3, but only 2 characters came"),
        ("2,ab", FORM),
        ("2,[]", FORM),
        ("4000," + "[" * 4000, FORM),
        (framed({}), FORM),
        (framed({"headers": ["d", "m", "s", "c"]}), FORM),
        (framed({"extraKeys": ["p"]}), FORM),
        (framed({"headers": ["d", "m", "s"], "extraKeys": ["p"]}), FORM),
        (framed({"headers": ["d", "m", "s", 4], "extraKeys": ["p"]}), FORM),
        (framed({"headers": "dmsc", "extraKeys": ["p"]}), FORM),
        (framed({"headers": ["d", "m", "s", "c"], "extraKeys": []}), FORM),
        (framed({"headers": ["d", "m", "s", "c"], "extraKeys": ["p", "m"]}), FORM),
        (framed({"headers": ["d", "m", "s", "\ud800"], "extraKeys": ["p"]}), FORM),
    ],
)
def test_what_is_no_message_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        parse_message(text, with_model=False)
    assert refused.value.text.startswith(words)


def test_a_prediction_names_its_model() -> None:
    text = framed({"headers": ["d", "m", "s", "c"], "extraKeys": ["p"]})
    with pytest.raises(BadRequestError, match="for predict with the model id after the project id"):
        parse_message(text, with_model=True)


def signed(url: str = FULL, payload: str = PAYLOAD, key: str = KEY, date: datetime = NOW) -> MessageHeader:
    """A header as a client makes it."""
    header = MessageHeader(format_date(date), content_md5(payload.encode()), "", "c1", "p1")
    text = websocket_string_to_sign(
        md5=header.md5,
        secret_key=key,
        date=header.date,
        customer="c1",
        payload=payload,
        url=url,
        extra_keys=["p1"],
    )
    return replace(header, signature=signature(text, key))


def check(header: MessageHeader, customer: Customer | None = CUSTOMER, **more: bool) -> Customer:
    """Who sent it."""
    return authenticate_message(header, PAYLOAD, customer, [PATH, FULL], NOW, **more)


@pytest.mark.parametrize("url", [PATH, FULL])
def test_path_and_full_address_may_be_signed(url: str) -> None:
    assert check(signed(url)) == CUSTOMER


def test_a_header_without_md5_is_accepted_and_one_without_a_payload_too() -> None:
    assert check(replace(signed(), md5="")) == CUSTOMER
    assert authenticate_message(signed(payload=""), "", CUSTOMER, [FULL], NOW) == CUSTOMER


@pytest.mark.parametrize(
    "header",
    [
        signed("ws://elsewhere/symetry/ws/learn"),
        signed(key=base64.b64encode(bytes(16)).decode()),
        replace(signed(), project="p2"),
        replace(signed(), customer="c2"),
        replace(signed(), model="m1"),
        replace(signed(), signature="é"),
    ],
)
def test_a_wrong_signature_and_an_unknown_customer_look_alike(header: MessageHeader) -> None:
    for customer in (CUSTOMER, None):
        with pytest.raises(UnauthorizedError) as refused:
            check(header, customer)
        assert (refused.value.text, refused.value.values) == ("Invalid Signature", {})


def test_the_vendors_errors_are_told_when_wanted() -> None:
    header = replace(signed(), project="p2")
    with pytest.raises(UnauthorizedError, match="Invalid User"):
        check(header, None, vendor_errors=True)
    with pytest.raises(UnauthorizedError, match="Invalid Signature") as refused:
        check(header, vendor_errors=True)
    assert KEY not in str(refused.value.values)
    assert "SECRETKEY" in str(refused.value.values["stringToSign"])


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (replace(signed(), signature=""), "Authentication header is null"),
        (replace(signed(), date=""), "sym-date header is null"),
        (replace(signed(), date="now"), "Invalid Date Format"),
        (replace(signed(), md5="AAAA"), "Md5 do not match"),
        (
            signed(date=NOW - timedelta(minutes=6)),
            "Please update your server time, it is likely out of sync with UTC",
        ),
    ],
)
def test_every_other_fault_has_the_words_of_rest(header: MessageHeader, words: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        check(header)
    assert refused.value.text == words
