"""Calls about federations."""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from pydantic import JsonValue

from symfed_wire.client.calls import escaped, flag, job_of
from symfed_wire.client.jobs import JobCalls
from symfed_wire.client.results import AwsInfo, FederationInfo, SyncStats
from symfed_wire.client.results.base import part, text
from symfed_wire.frames import parse_strings
from symfed_wire.invitation import open_invitation


class FederationCalls(JobCalls):
    """Create and join a federation, exchange, and look after it."""

    def create(
        self,
        pid: str,
        name: str,
        schedule: str,
        settings: Mapping[str, JsonValue],
        *,
        persist: bool = True,
    ) -> None:
        """Create a federation and its admin's project; `settings` are further keys, of its backend above all.

        That is `nats_hosts`, or `aws_access_key`, `aws_secret_key`, `aws_region` and `s3_bucket`.
        """
        body = {**settings, "fed_name": name, "sync_sched": schedule}
        query = {"pid": pid, "persist": flag(persist)}
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
        call = f"/fedml/{escaped(pid)}/getEncrypted"
        return text(self._send("POST", call, body=body, is_sealed=True).values, "fedInfoEncrypted", call)

    def join(
        self,
        invitation: Mapping[str, JsonValue],
        own: Mapping[str, JsonValue] | None = None,
        *,
        pid: str | None = None,
        persist: bool = True,
    ) -> None:
        """Join with an invitation's opened keys, passed on unchanged, and the `own` keys of the new peer.

        On AWS those are its own side, with the keys of `create` and `aws_id`.
        """
        query = {"persist": flag(persist)} | ({"pid": pid} if pid is not None else {})
        self._send("POST", "/fedml/createJoin", query, {**(own or {}), **invitation}, is_sealed=True)

    @staticmethod
    def open_invitation(invitation: str, password: str) -> dict[str, JsonValue]:
        """The keys of an invitation. Raises UnsealError, MalformedError."""
        return open_invitation(invitation, password)

    def info(self, pid: str) -> FederationInfo:
        """The federation of a project."""
        call = f"/fedml/{escaped(pid)}/info"
        answer = self._send("GET", call)
        opened = self._caller.unseal(text(answer.values, "fedInfoEncrypted", call), answer)
        return FederationInfo.read(orjson.loads(opened), call)

    def aws_info(
        self,
        access_key: str,
        secret_key: str,
        *,
        session_token: str | None = None,
        region: str | None = None,
        deadline: float = 90.0,
    ) -> AwsInfo:
        """Topics and queues of the account that the keys belong to, in one region or in all.

        Raises DeadlineError; ApiError in the gateway's words when AWS refuses.
        """
        keys = {
            "aws_access_key": access_key,
            "aws_secret_key": secret_key,
            "aws_session_token": session_token,
            "aws_region": region,
        }
        call = "/fedml/awsinfo"
        body: dict[str, JsonValue] = {name: value for name, value in keys.items() if value}
        started = self._send("POST", call, body=body, is_sealed=True)
        answer = self._wait(job_of(started, call), deadline)
        opened = self._caller.unseal(text(answer.values, "awsInfoEncrypted", call), answer)
        return AwsInfo.read(orjson.loads(opened), call)

    def sync(self, pid: str) -> None:
        """Make the peer publish now, and ask all others to."""
        self._send("GET", f"/fedml/{escaped(pid)}/fullSyncRequest")

    def sync_stats(self, pid: str) -> SyncStats:
        """What each peer published last, as merged here."""
        call = f"/fedml/{escaped(pid)}/syncStats"
        return part(self._send("GET", call).values, "fedSyncStats", SyncStats, call)

    def start_pulse(self, pid: str) -> None:
        """Let the peer take part in the schedule."""
        self._send("GET", f"/fedml/{escaped(pid)}/startPulse")

    def stop_pulse(self, pid: str) -> None:
        """Let the peer neither publish nor merge until it is started again."""
        self._send("GET", f"/fedml/{escaped(pid)}/stopPulse")

    def new_schedule(self, pid: str, schedule: str) -> None:
        """How often all peers exchange: m30, h3, d7. The admin's project only."""
        self._send("GET", f"/fedml/{escaped(pid)}/newSchedule", {"newSchedule": schedule})

    def allow_explore(self, pid: str, is_allowed: bool) -> None:
        """Whether the other peers may explore this peer's own statistics."""
        self._send("GET", f"/fedml/{escaped(pid)}/setExplorePeers", {"allowExplore": flag(is_allowed)})

    def error_log(self, pid: str) -> list[str]:
        """The last errors of the exchange, oldest first."""
        return self._lines(f"/fedml/{escaped(pid)}/getErrorLog")

    def sync_log(self, pid: str) -> list[str]:
        """What the exchange did last, oldest first."""
        return self._lines(f"/fedml/{escaped(pid)}/getSyncLog")

    def clear_error_log(self, pid: str) -> None:
        """Empty the error log."""
        self._send("DELETE", f"/fedml/{escaped(pid)}/clearErrorLog")

    def _lines(self, call: str) -> list[str]:
        return list(parse_strings(self._send("GET", call).values.get("stringList")).values)
