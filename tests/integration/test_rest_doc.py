"""Every example of docs/rest.md, executed in its order with the page's own Python, against all parts."""

import json
import os
import runpy
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from tests.cluster.gobuild import program
from tests.foreign.client import Json
from tests.integration.aws_servers import AwsServer
from tests.integration.line import Line, namespace_of
from tests.integration.servers import ServerError, wait_until
from tests.rest_page import PAGE, Block, Request, blocks, filled, matches, request_of

CUSTOMERS = ("acme", "beta")
SERVER, NATS, AWS = "https://symfed.example.org", "nats://nats.example.org:4222", "https://aws.example.org"
LOOKED_AT = "333333333333"  # an account with a topic and a queue
SECONDS = 60.0
Call = Callable[..., Any]


@dataclass
class Reader:
    """Somebody who tries the page out, and knows what the examples so far have told."""

    line: Line
    keys: dict[str, str]
    folder: Path
    python: str = ""
    functions: dict[str, Call] = field(default_factory=dict)
    job: str = ""
    invitation: Json = field(default_factory=dict)
    sealed: str = ""
    unseal: Call = str

    def learn_python(self, text: str) -> None:
        """A block of Python goes on from those before it."""
        self.python += text
        file = self.folder / "page.py"
        file.write_text(self.python)
        self.functions = runpy.run_path(str(file))

    def ask(self, request: Request, form: str) -> Json:
        """The envelope that answers."""
        key, sent = self.keys[request.customer], self.functions["date"]()
        body, parts = filled(request.body, self.invitation), (request.verb, request.path, request.query)
        nonce = os.urandom(16).hex() if form.endswith("v2") else ""
        if form == "sealed":
            body = self.functions["seal"](key, body)
        elif form == "sealed v2":
            body = self.functions["seal_v2"](key, body, *parts, sent)
        status, headers, content = self.functions["call"](
            self.line.url, request.customer, key, *parts, body, sent, nonce
        )
        envelope: Json = json.loads(content)
        assert envelope["statusCode"] == HTTPStatus(status).name
        self.job = headers.get("sym-job-id", self.job)
        values = envelope["values"]
        self.sealed = values.get("fedInfoEncrypted") or values.get("awsInfoEncrypted", "")
        self.unseal = (
            partial(self.functions["unseal_v2"], key, self.sealed, *parts, sent)
            if nonce
            else lambda: self.functions["unseal"](key, self.sealed)
        )
        return envelope

    def tell(self, about: str, payload: str) -> Json:
        """The envelope that answers `message of CUSTOMER to PATH for NAMES`."""
        _, _, customer, _, path, _, *names = about.split()
        url = self.line.url.replace("http", "ws") + path
        with connect(url) as connection:
            connection.send(self.functions["message"](self.keys[customer], customer, url, payload, *names))
            envelope: Json = json.loads(connection.recv(timeout=SECONDS))
        return envelope

    def open(self, about: str) -> Json:
        """What the last answer held sealed: `opened`, or `opened by PASSWORD`."""
        if about == "opened":
            information: Json = json.loads(self.unseal())
            return information
        self.invitation = self.functions["open_invitation"](about.split()[-1], self.sealed)
        return self.invitation

    def run(self, command: str) -> None:
        """kubectl with an administrator's rights."""
        for customer in self.keys:
            command = command.replace(f"--namespace {customer}", f"--namespace {namespace_of(customer)}")
        environment = {
            "PATH": f"{program('kubectl').parent}:/usr/bin:/bin",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.line.control_plane.kubeconfig),
        }
        subprocess.run(["bash", "-euc", command], env=environment, check=True, timeout=120)


def test_every_example_is_answered_as_the_page_says(line: Line, tmp_path: Path) -> None:
    keys = {customer: line.new_customer(customer).secret_key for customer in CUSTOMERS}
    reader = Reader(line, keys, tmp_path)
    page = PAGE.read_text().replace(SERVER, line.url).replace(NATS, line.nats).replace(AWS, line.aws.url)
    fill(line.aws)
    asked: Block | None = None
    for block in blocks(page):
        where = f"{PAGE.name}, line {block.line}"
        if block.language == "python":
            reader.learn_python(block.text)
        elif block.language == "sh":
            reader.run(block.text)
        elif block.is_request:
            asked = block
        elif block.about.startswith("opened"):
            shown, seen = json.loads(block.text), reader.open(block.about)
            assert matches(shown, seen), f"{where} shows {shown}, but it is {seen}"
        else:
            assert asked is not None, f"{where} answers nothing"
            expect(reader, asked, int(block.about), json.loads(block.text), where)
            asked = None
    assert asked is None, f"line {asked and asked.line} is not answered"


def fill(aws: AwsServer) -> None:
    """What the page finds on AWS: two buckets, and what there is in an account."""
    aws.account("111111111111").s3.create_bucket(
        Bucket="acme-trial", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
    )
    aws.account("222222222222", "us-east-1").s3.create_bucket(Bucket="beta-trial")
    account = aws.account(LOOKED_AT)
    topic = account.sns.create_topic(Name="alerts")["TopicArn"]
    url = account.sqs.create_queue(QueueName="alerts")["QueueUrl"]
    asked = account.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    account.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=asked["Attributes"]["QueueArn"])


def expect(reader: Reader, asked: Block, status: int, shown: Json, where: str) -> None:
    """The answer is as shown; to a request that only reads, it may become so."""
    wanted = {"statusCode": HTTPStatus(status).name, "statusString": "…", "values": "…", **shown}
    seen: Json = {}

    def is_so() -> bool:
        nonlocal seen
        if asked.language == "http":
            request = request_of(asked.text.replace("{job}", reader.job))
            seen = reader.ask(request, asked.about)
        else:
            seen = reader.tell(asked.about, asked.text.strip())
        return matches(wanted, seen)

    try:
        wait_until(is_so, where, SECONDS if asked.text.startswith("GET ") else 0)
    except ServerError:
        raise AssertionError(f"{where} shows {wanted}, but it is {seen}") from None
