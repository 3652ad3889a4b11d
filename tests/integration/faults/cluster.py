"""What faults may leave behind: objects, records and accounts; and what the parts print."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symfed_operator.records import FederationRecord, PeerRecord
from symfed_wire.documents import FEDERATION_CONTEXT, FederationDocument, verify_document
from tests.integration.line import Line, namespace_of

GROUP = "/apis/symfed.dev/v1alpha1"
TRACE = "Traceback (most recent call last)"


@dataclass(frozen=True)
class Leftovers:
    """What a federation makes beside its objects: things outside, by name, and the operator's records."""

    outside: frozenset[str]
    records: frozenset[str]


class Cluster:
    """The API server and the NATS server's disk, with an administrator's rights."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._system = line.installation.namespace

    def get(self, path: str) -> Any:
        """An object or a list."""
        with self._line.installation.control_plane.client() as client:
            return client.get(path).raise_for_status().json()

    def find(self, path: str) -> Any:
        """An object, or None when it is not there."""
        with self._line.installation.control_plane.client() as client:
            answer = client.get(path)
            return None if answer.status_code == 404 else answer.raise_for_status().json()

    def patch(self, path: str, body: dict[str, Any]) -> None:
        """A merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        with self._line.installation.control_plane.client() as client:
            client.patch(path, json=body, headers=headers).raise_for_status()

    def peer(self, namespace: str, name: str) -> Any:
        """A FederationPeer."""
        return self.get(f"{GROUP}/namespaces/{namespace}/federationpeers/{name}")

    def federation_path(self, name: str) -> str:
        """The Federation; its admin is the first customer."""
        namespace = namespace_of(next(iter(self._line.customers)))
        return f"{GROUP}/namespaces/{namespace}/federations/{name}"

    def condition(self, namespace: str, name: str, kind: str) -> tuple[str, str, str]:
        """Status, reason and message of a FederationPeer's condition; empty texts for none."""
        for condition in self.peer(namespace, name).get("status", {}).get("conditions", []):
            if condition["type"] == kind:
                return condition["status"], condition["reason"], condition.get("message", "")
        return "", "", ""

    def record(self, name: str) -> str:
        """One of the operator's own Secrets."""
        secret = self.get(f"/api/v1/namespaces/{self._system}/secrets/{name}")
        return base64.b64decode(secret["data"]["record.json"]).decode()

    def federation_record(self, name: str) -> FederationRecord:
        """The operator's record of a federation."""
        uid = self.get(self.federation_path(name))["metadata"]["uid"]
        return FederationRecord.model_validate_json(self.record(f"fed-{uid}"))

    def peer_record(self, uid: str) -> PeerRecord:
        """The operator's record of a hosted peer."""
        return PeerRecord.model_validate_json(self.record(f"peer-{uid}"))

    def document(self, name: str) -> FederationDocument:
        """A federation's document, as the operator keeps it."""
        record = self.federation_record(name)
        assert record.document is not None
        return verify_document(record.document, FEDERATION_CONTEXT, record.document_key, FederationDocument)

    def check_objects(self, name: str, hosted: Sequence[tuple[str, str]]) -> None:
        """One Federation, one FederationPeer a peer, one remote one a guest, and the document's members."""
        peers = self.get(f"{GROUP}/federationpeers")["items"]
        mine = {(p["metadata"]["namespace"], p["metadata"]["name"]): p for p in peers}
        uuids = {mine[key]["status"]["uuid"] for key in hosted}
        here = [
            key
            for key, peer in mine.items()
            if key[1].startswith(f"{name}-") or peer["spec"].get("federationRef", {}).get("name") == name
        ]
        remote = [key for key in here if "remote" in mine[key]["spec"]]
        admin = hosted[0][0]
        guests = {f"remote-{mine[key]['status']['uuid']}" for key in hosted if key[0] != admin}
        assert sorted(set(here) - set(remote)) == sorted(hosted)
        assert {key[1] for key in remote} == guests
        document = self.document(name)
        assert {member.uuid for member in document.members} == uuids
        assert all(member.state == "active" for member in document.members)

    def accounts(self) -> frozenset[str]:
        """Public keys of the accounts on the NATS server's disk."""
        return frozenset(path.stem for path in self.nats_folder.joinpath("accounts").rglob("*.jwt"))

    @property
    def nats_folder(self) -> Path:
        """The NATS server's disk."""
        return self._line.installation.folder / "nats"

    def stream_files(self, before: "Leftovers") -> list[Path]:
        """The files of the streams that were made since then."""
        made = self.accounts() - before.outside
        files = self.nats_folder.joinpath("jetstream").rglob("*")
        return [path for path in files if path.is_file() and made & set(path.parts)]

    def records(self) -> frozenset[str]:
        """The operator's records."""
        secrets = self.get(f"/api/v1/namespaces/{self._system}/secrets")["items"]
        names = (str(secret["metadata"]["name"]) for secret in secrets)
        kinds = ("fed-", "member-", "peer-")
        return frozenset(name for name in names if name.startswith(kinds))


class NewLines:
    """What the parts print from now on."""

    def __init__(self, line: Line) -> None:
        self._folder = line.installation.folder
        self._before = {log: log.stat().st_size for log in self._logs()}

    def text(self, part: str = "") -> str:
        """The new lines of all parts, or of the logs whose path has `part` in it."""
        return "".join(self._new(log) for log in self._logs() if part in str(log))

    def traces(self, expected: Sequence[str] = ()) -> list[str]:
        """Every traceback with what stands before and after it, but those that have an expected text."""
        found = []
        for log in self._logs():
            lines = self._new(log).splitlines()
            for number, text in enumerate(lines):
                excerpt = "\n".join([str(log), *lines[max(0, number - 2) : number + 40]])
                if TRACE in text and not any(known in excerpt for known in expected):
                    found.append(excerpt)
        return found

    def _new(self, log: Path) -> str:
        with log.open("rb") as file:
            file.seek(self._before.get(log, 0))
            return file.read().decode(errors="replace")

    def _logs(self) -> list[Path]:
        parts = [self._folder / f"{part}.log" for part in ("operator", "gateway")]
        return [log for log in (*parts, *self._folder.glob("pods/*/*/node.log")) if log.exists()]
