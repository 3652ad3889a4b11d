"""AWS's refusals of `awsinfo` in words: answers as AWS gives them, which no emulator does."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from symfed_api.aws_info import aws_info
from symfed_api.aws_regions import AwsRegions, RegionError
from symfed_wire.federation_map import parse_aws_info_map
from tests.integration.servers import free_port

REGION, TOKEN = "eu-central-1", "hidden-session-token"


async def look_up(endpoint: str, **keys: str) -> dict[str, Any]:
    """The work of the job."""
    own = {"aws_access_key": "AKIA", "aws_secret_key": "hidden", "aws_session_token": TOKEN}
    found: Any = (await aws_info(parse_aws_info_map({**own, **keys}), endpoint))["awsInfo"]
    return dict(found)


class Refusing(ThreadingHTTPServer):
    """Answers as AWS does where no emulator does: `answers` by region, each (status, code, message)."""

    def __init__(self, answers: dict[str, tuple[int, str, str]], service: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Refusal)
        self.answers = answers
        self.service = service
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Refusal(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Refuse in the way of the service that the signature names, or answer that there is nothing."""
        server: Refusing = self.server  # type: ignore[assignment]  # made by it
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        _, _, region, service, _ = (
            self.headers["Authorization"].split("Credential=")[1].split(",")[0].split("/")
        )
        status, code, message = server.answers.get(region, (200, "", ""))
        if server.service not in ("", service):
            status = 200
        if service == "sqs":
            kind = "application/x-amz-json-1.0"
            body = (
                "{}"
                if status == 200
                else json.dumps({"__type": f"com.amazonaws.sqs#{code}", "message": message})
            )
        else:
            kind = "text/xml"
            error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            empty = "<ListTopicsResponse><ListTopicsResult><Topics/></ListTopicsResult></ListTopicsResponse>"
            body = empty if status == 200 else f"<ErrorResponse>{error}</ErrorResponse>"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        """Not to the terminal."""


@contextmanager
def refusing(*answers: tuple[str, int, str, str], service: str = "") -> Iterator[str]:
    """The address of one that refuses: (region, status, code, message) each."""
    server = Refusing({region: (status, code, text) for region, status, code, text in answers}, service)
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()


UNKNOWN = (403, "InvalidClientTokenId", "The security token included in the request is invalid.")
DENIED = (
    403,
    "AuthorizationError",
    "User: arn:aws:iam::111111111111:user/u is not authorized to perform: SNS:ListTopics on resource: "
    "arn:aws:sns:eu-central-1:111111111111:* because no identity-based policy allows the SNS:ListTopics "
    "action",
)
UNKNOWN_WORDS = (
    "AWS does not know these keys in eu-central-1: check aws_access_key, aws_secret_key, "
    "aws_session_token, which temporary keys need and others must not have, and whether the account uses "
    "this region"
)
WORDS = [
    (
        UNKNOWN,
        UNKNOWN_WORDS,
    ),
    (
        DENIED,
        "SNS:ListTopics is not allowed on arn:aws:sns:eu-central-1:111111111111:*: no identity-based policy "
        "allows the SNS:ListTopics action",
    ),
    (
        (403, "SignatureDoesNotMatch", f"No match.\nThe Canonical String was x-amz-security-token:{TOKEN}"),
        UNKNOWN_WORDS,
    ),
    (
        (
            403,
            "SignatureDoesNotMatch",
            "Signature expired: 20261127T100000Z is now earlier than 20261127T100500Z",
        ),
        "The clocks of the gateway and of AWS differ by more than 5 minutes: set the gateway's right",
    ),
    ((403, "ExpiredToken", "Expired."), "aws_session_token has expired: give new keys"),
    (
        (400, "Throttling", "Rate exceeded"),
        "AWS asks for fewer requests (sns:ListTopics in eu-central-1): try again later",
    ),
    ((400, "Strange", f"So it is.\n{TOKEN}"), "sns:ListTopics on eu-central-1 failed: Strange: So it is."),
]


@pytest.mark.parametrize(("answer", "text"), WORDS, ids=[text[:40] for _, text in WORDS])
async def test_a_refusal_is_told_in_words(answer: tuple[int, str, str], text: str) -> None:
    with refusing((REGION, *answer)) as url, pytest.raises(RegionError) as caught:
        await look_up(url, aws_region=REGION)
    assert str(caught.value) == text


async def test_a_refusal_of_queues_names_their_action() -> None:
    denied = (REGION, 400, "AccessDeniedException", "Access denied.")
    with refusing(denied, service="sqs") as url, pytest.raises(RegionError) as caught:
        await look_up(url, aws_region=REGION)
    assert str(caught.value) == "sqs:ListQueues is not allowed on eu-central-1"


async def test_who_does_not_answer_is_told() -> None:
    with pytest.raises(RegionError) as caught:
        await look_up(f"http://127.0.0.1:{free_port()}", aws_region=REGION)
    assert str(caught.value) == (
        "AWS does not answer sns:ListTopics in eu-central-1 (EndpointConnectionError): is the region right?"
    )


async def test_regions_that_the_account_does_not_use_are_left_out() -> None:
    with refusing(("ap-east-1", *UNKNOWN), ("eu-south-1", *DENIED)) as url:
        found = await look_up(url)
    assert not {"AP_EAST_1", "EU_SOUTH_1"} & set(found["topics"])
    assert found["topics"]["EU_CENTRAL_1"] == []
    assert set(found["skipped"]) == {"AP_EAST_1", "EU_SOUTH_1"}
    assert found["skipped"]["AP_EAST_1"].startswith("AWS does not know these keys in ap-east-1")


async def test_keys_that_no_region_takes_fail_and_a_region_that_is_throttled_does() -> None:
    names = AwsRegions({"accessKeyId": "A", "secretAccessKey": "S"}, None).names()
    everywhere = [(name, *UNKNOWN) for name in names]
    with (
        refusing(*everywhere) as url,
        pytest.raises(RegionError, match="AWS does not know these keys in"),
    ):
        await look_up(url)
    with (
        refusing(*everywhere[1:], (names[0], *DENIED)) as url,
        pytest.raises(RegionError, match="is not allowed"),
    ):
        await look_up(url)
    with (
        refusing(("eu-west-1", 400, "Throttling", "")) as url,
        pytest.raises(RegionError, match="in eu-west-1"),
    ):
        await look_up(url)
