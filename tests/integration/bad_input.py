"""What the tables of bad input share: whom they are sent to, and the proof that nothing came of them."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus

import pytest

from tests.foreign.client import Answer, Client, frame
from tests.integration.line import Line, namespace_of

PROJECT = "rows"
ROWS = frame(["age", "weight"], [["31", "70.5"], ["44", "81"], ["58", "66.5"]])
_CREDENTIALS = re.compile(
    "-(invitation|credentials)-"
)  # Secrets of the gateway's; the others are the operator's


@dataclass(frozen=True)
class Target:
    """A customer with a project of three rows."""

    line: Line
    client: Client

    def names(self, kind: str) -> list[str]:
        """Names of the customer's objects of a kind."""
        group = "/api/v1" if kind in ("configmaps", "secrets") else "/apis/symfed.dev/v1alpha1"
        with self.line.control_plane.client() as api:
            found = api.get(f"{group}/namespaces/{namespace_of(self.client.cid)}/{kind}").raise_for_status()
        return sorted(item["metadata"]["name"] for item in found.json()["items"])

    def state(self) -> dict[str, object]:
        """What a call could have changed."""
        return {
            **{kind: self.names(kind) for kind in ("federations", "federationpeers", "configmaps")},
            "secrets": [name for name in self.names("secrets") if _CREDENTIALS.search(name)],
            "project": self.client.project(PROJECT).values["smlInfo"],
        }

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Nothing is learnt and nothing is made in the block."""
        before = self.state()
        yield
        after = self.state()
        assert after == before, f"{before} became {after}"


@dataclass(frozen=True)
class Case:
    """One bad input and the answer it gets; `text` is the whole text."""

    name: str
    send: Callable[[Target], Answer]
    status: int
    text: str


def new_target(line: Line, customer: str) -> Target:
    """A customer whose project has learnt ROWS."""
    owner = line.new_customer(customer)
    client = Client(line.url, owner.name, owner.secret_key)
    assert client.create_project(PROJECT, {}).status == 201
    assert client.learn(PROJECT, ROWS).values["learned"] == 3
    return Target(line, client)


def each(cases: list[Case]) -> pytest.MarkDecorator:
    """A test a case."""
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


def check(target: Target, case: Case) -> None:
    """The answer is the case's, and nothing else has happened."""
    with target.unchanged():
        answer = case.send(target)
        seen = (answer.status, answer.envelope)
        assert seen == (case.status, envelope(case.status, case.text)), answer.body


def envelope(status: int, text: str) -> dict[str, object]:
    """An error's whole answer."""
    return {"statusCode": HTTPStatus(status).name, "statusString": text, "values": {}}
