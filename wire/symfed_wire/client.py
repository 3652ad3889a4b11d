"""A client of the REST API: signs, seals, repeats where that is safe, and waits for jobs.

with Client("http://symfed.example:8080", "acme", secret_key) as client:
    print(client.projects())
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

import httpx
import orjson
from pydantic import JsonValue

from symfed_wire.client_http import (
    Answer,
    ApiError,
    Body,
    Call,
    Caller,
    ClientError,
    ConnectionFailedError,
    Credentials,
    DeadlineError,
    Form,
    NotAnEnvelopeError,
)
from symfed_wire.client_results import (
    FederationInfo,
    Job,
    Learnt,
    ModelInfo,
    ProjectInfo,
    SyncStats,
    part,
    text,
)
from symfed_wire.errors import MalformedError
from symfed_wire.frames import IGNORED, DataFrame, MLContext, is_missing, parse_strings
from symfed_wire.invitation import open_invitation

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "DeadlineError",
    "NotAnEnvelopeError",
    "generate_password",
]

BATCH_ROWS = 10_000
_JOB_PAUSE_SECONDS = (0.1, 2.0)


class Client:
    """The calls of one customer. Every method may raise ApiError and ConnectionFailedError."""

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
        base = f"{self.url}/symetry/rest/{quote(customer, safe='')}"
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

    # --- federations -----------------------------------------------------------------------------------

    def create(
        self,
        pid: str,
        name: str,
        schedule: str,
        settings: Mapping[str, JsonValue],
        *,
        persist: bool = True,
    ) -> None:
        """Create a federation and its admin's project; `settings` are further keys such as `nats_hosts`."""
        body = {**settings, "fed_name": name, "sync_sched": schedule}
        query = {"pid": pid, "persist": _flag(persist)}
        self._send("POST", "/fedml/create", query, body, is_sealed=True)

    def invitation(
        self, pid: str, password: str, *, rest_host: str | None = None, token_hours: int | None = None
    ) -> str:
        """A new invitation for one peer, encrypted under `password` (16 bytes at most in the first form)."""
        body: dict[str, JsonValue] = {"passwd": password, "fed_rest_host": rest_host or self.url}
        if token_hours is not None:
            body["fed_token_hours"] = token_hours
        if self._form == "v2":
            body["fed_info_format"] = "v2"
        call = f"/fedml/{_name(pid)}/getEncrypted"
        return text(self._send("POST", call, body=body, is_sealed=True).values, "fedInfoEncrypted", call)

    def join(
        self,
        invitation: Mapping[str, JsonValue],
        own: Mapping[str, JsonValue] | None = None,
        *,
        pid: str | None = None,
        persist: bool = True,
    ) -> None:
        """Join with an invitation's opened keys, passed on unchanged, and the `own` keys of the new peer."""
        query = {"persist": _flag(persist)} | ({"pid": pid} if pid is not None else {})
        self._send("POST", "/fedml/createJoin", query, {**(own or {}), **invitation}, is_sealed=True)

    @staticmethod
    def open_invitation(invitation: str, password: str) -> dict[str, JsonValue]:
        """The keys of an invitation. Raises UnsealError, MalformedError."""
        return open_invitation(invitation, password)

    def info(self, pid: str) -> FederationInfo:
        """The federation of a project."""
        call = f"/fedml/{_name(pid)}/info"
        answer = self._send("GET", call)
        opened = self._caller.unseal(text(answer.values, "fedInfoEncrypted", call), answer)
        return FederationInfo.read(orjson.loads(opened), call)

    def sync(self, pid: str) -> None:
        """Make the peer publish now, and ask all others to."""
        self._send("GET", f"/fedml/{_name(pid)}/fullSyncRequest")

    def sync_stats(self, pid: str) -> SyncStats:
        """What each peer published last, as merged here."""
        call = f"/fedml/{_name(pid)}/syncStats"
        return part(self._send("GET", call).values, "fedSyncStats", SyncStats, call)

    # --- projects --------------------------------------------------------------------------------------

    def projects(self) -> list[str]:
        """The ids of the customer's projects."""
        call = "/projects/list"
        return list(parse_strings(self._send("GET", call).values.get("stringList")).values)

    def project(self, pid: str) -> ProjectInfo:
        """A project's attributes and models."""
        call = f"/projects/{_name(pid)}/info"
        return part(self._send("GET", call).values, "smlInfo", ProjectInfo, call)

    def create_project(self, pid: str, kind: Literal["cpu", "gpu"] = "cpu", *, persist: bool = True) -> None:
        """Create a plain project that belongs to no federation."""
        self._send("POST", "/projects", {"pid": pid, "type": kind, "persist": _flag(persist)}, {})

    def delete(self, pid: str) -> None:
        """Delete a project with its statistics; as a peer it leaves its federation."""
        self._send("DELETE", f"/projects/{_name(pid)}")

    # --- rows and models -------------------------------------------------------------------------------

    def learn(self, pid: str, frame: DataFrame, batch_rows: int = BATCH_ROWS) -> Learnt:
        """Add rows to the local project, in batches; a batch is learnt whole or not at all."""
        total = Learnt(0, 0)
        for batch in batches(frame, batch_rows):
            total += self._learn_batch(pid, batch)
        return total

    def build(
        self,
        pid: str,
        algo: str,
        model_id: str,
        target: str,
        inputs: Sequence[str] | None = None,
        *,
        use_local: bool = False,
        parameters: Mapping[str, JsonValue] | None = None,
    ) -> Job:
        """Start to build a model; without `inputs` from all attributes but the target."""
        if inputs is None:
            inputs = [name for name in self.project(pid).attribute_names if name != target]
        context = MLContext(
            input_attribute_names=tuple(inputs),
            target_attribute_names=(target,),
            extra_parameters=dict(parameters or {}),
        )
        query = {"algo": algo, "modelid": model_id} | _local(use_local)
        call = f"/projects/{_name(pid)}/build"
        answer = self._send("POST", call, query, context.to_json())
        if answer.job_id is None:
            raise MalformedError(f"{call}: the answer names no job (neither sym-job-id nor Location)")
        return Job(answer.job_id)

    def model(self, pid: str, model_id: str, *, use_local: bool = False) -> ModelInfo:
        """A built model."""
        call = f"/projects/{_name(pid)}/models/{_name(model_id)}"
        return part(self._send("GET", call, _local(use_local)).values, "modelInfo", ModelInfo, call)

    def delete_model(self, pid: str, model_id: str, *, use_local: bool = False) -> None:
        """Delete a model."""
        self._send("DELETE", f"/projects/{_name(pid)}/models/{_name(model_id)}", _local(use_local))

    # --- jobs ------------------------------------------------------------------------------------------

    def job(self, job: Job) -> Mapping[str, JsonValue] | None:
        """What a finished job holds, or None while it runs. Raises ApiError for one that failed."""
        answer = self._send("GET", f"/jobs/{job.number}")
        return None if answer.status == httpx.codes.ACCEPTED else answer.values

    def wait(self, job: Job, deadline: float = 300.0) -> Mapping[str, JsonValue]:
        """Wait for a job, at most `deadline` seconds. Raises DeadlineError; ApiError if it failed."""
        end = time.monotonic() + deadline
        pause, longest = _JOB_PAUSE_SECONDS
        while (values := self.job(job)) is None:
            left = end - time.monotonic()
            if left <= 0:
                raise DeadlineError(f"job {job.number} still runs after {deadline:g} s; it was not stopped")
            time.sleep(min(pause, left))
            pause = min(2 * pause, longest)
        return values

    # --- inside ----------------------------------------------------------------------------------------

    def _learn_batch(self, pid: str, batch: DataFrame) -> Learnt:
        call = Call(
            "POST",
            f"/projects/{_name(pid)}/learn",
            body=batch.to_json(),
            request_id=uuid.uuid4().hex,
        )
        values = self._caller.send(call).values
        learned, skipped = values.get("learned"), values.get("skipped")
        if isinstance(learned, int) and isinstance(skipped, int):
            return Learnt(learned, skipped)
        incomplete = _incomplete_rows(batch)  # the vendor's servers say nothing
        return Learnt(len(batch.data) - incomplete, incomplete)

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


def batches(frame: DataFrame, rows: int) -> Iterator[DataFrame]:
    """The frame in parts of at most `rows` rows."""
    for start in range(0, len(frame.data), rows):
        yield DataFrame(frame.attribute_names, frame.attribute_types, frame.data[start : start + rows])


def generate_password() -> str:
    """A random password for an invitation, as long as its first form allows."""
    return secrets.token_urlsafe(12)


def _incomplete_rows(frame: DataFrame) -> int:
    """Rows with a missing value in a column that is learnt."""
    used = [index for index, kind in enumerate(frame.attribute_types) if kind != IGNORED]
    return sum(any(is_missing(row[index]) for index in used) for row in frame.data)


def _name(text: str) -> str:
    return quote(text, safe="")


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _local(use_local: bool) -> dict[str, str]:
    return {"useLocal": "true"} if use_local else {}
