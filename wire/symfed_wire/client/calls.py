"""What the calls of every noun share: the caller, and how names and flags travel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import httpx
from pydantic import JsonValue

from symfed_wire.client.http import Answer, Body, Call, Caller, Credentials, Form
from symfed_wire.client.results import Job
from symfed_wire.errors import MalformedError
from symfed_wire.frames import MLContext


class Calls:
    """One customer's connection to one gateway."""

    def __init__(
        self,
        url: str,
        customer: str,
        secret_key: str,
        *,
        form: Form = "v1",
        patience: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`patience` is how many seconds a call is repeated while the gateway cannot serve it.

        Raises MalformedError for a url without scheme and a key that is not 16 bytes in base64.
        """
        self.url = url.rstrip("/")
        self._form = form
        base = f"{self.url}/symetry/rest/{escaped(customer)}"
        self._caller = Caller(base, Credentials(customer, secret_key), form, patience, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._caller.close()

    def _send(
        self,
        verb: Literal["GET", "POST", "DELETE"],
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body | None = None,
        *,
        is_sealed: bool = False,
    ) -> Answer:
        return self._caller.send(Call(verb, path, query or {}, body, is_sealed))


def job_of(answer: Answer, call: str) -> Job:
    """The job that an answer names. Raises MalformedError."""
    if answer.job_id is None:
        raise MalformedError(f"{call}: the answer names no job (neither sym-job-id nor Location)")
    return Job(answer.job_id)


def escaped(name: str) -> str:
    """A project's or model's id as a part of a path."""
    return quote(name, safe="")


def flag(value: bool) -> str:
    """A boolean in a query."""
    return "true" if value else "false"


def local(use_local: bool) -> dict[str, str]:
    """The query that asks the local project instead of the federated one."""
    return {"useLocal": "true"} if use_local else {}


def context(
    inputs: Sequence[str], targets: Sequence[str], extra: Mapping[str, JsonValue] | None = None
) -> Body:
    """An MLContext by names."""
    return MLContext(
        input_attribute_names=tuple(inputs),
        target_attribute_names=tuple(targets),
        extra_parameters=dict(extra or {}),
    ).to_json()
