"""A client of the REST API as somebody else would write it: from the contract alone, with no code of symfed.

It sends dates of whole seconds, no Content-MD5 header, bodies of the first form, and texts wherever the
contract allows a text. Every call returns its `Answer`; none raises because of a status.
"""

import http.client
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from websockets.sync.client import connect

from tests.foreign.signing import now, open_body, seal_body, sign, socket_message, string_to_sign

Json = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def envelope(self) -> Json:
        envelope: Json = json.loads(self.body)
        return envelope

    @property
    def text(self) -> str:
        return str(self.envelope["statusString"])

    @property
    def values(self) -> Json:
        values: Json = self.envelope["values"]
        return values

    @property
    def job(self) -> str:
        return self.headers["sym-job-id"]


def frame(names: Sequence[str], rows: Sequence[Sequence[object]], types: Sequence[str] | None = None) -> Json:
    """A DataFrame; every column is continuous unless `types` says otherwise."""
    return {
        "attributeNames": list(names),
        "attributeTypes": list(types or "C" * len(names)),
        "data": list(rows),
    }


def context(
    inputs: Sequence[str] = (), targets: Sequence[str] = (), extra: Mapping[str, str] | None = None
) -> Json:
    """An MLContext by name."""
    return {
        "inputAttributeNames": list(inputs),
        "targetAttributeNames": list(targets),
        "extraParameters": dict(extra or {}),
    }


class Client:
    """One customer at one server, e.g. `http://localhost:8080`."""

    def __init__(self, server: str, cid: str, secret_key: str, sign_full_url: bool = False) -> None:
        self.server = server.rstrip("/")
        self.cid = cid
        self.secret_key = secret_key
        self._sign_full_url = sign_full_url

    # One request

    def headers(
        self, verb: str, path: str, query: str = "", body: str = "", date: str | None = None
    ) -> dict[str, str]:
        date = date or now()
        resource = f"{self.server}{path}" if self._sign_full_url else path
        signed = string_to_sign(verb, self.secret_key, date, self.cid, body, resource, query)
        return {"Authorization": sign(self.secret_key, signed), "sym-date": date}

    def send(self, verb: str, path: str, query: str, body: str, headers: Mapping[str, str]) -> Answer:
        """The request as it is given: a test of bad input changes any part of it."""
        connection = http.client.HTTPConnection(urlsplit(self.server).netloc, timeout=120)
        try:
            target = f"{path}?{query}" if query else path
            connection.request(verb, target, body.encode() if body else None, dict(headers))
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, names, response.read().decode())
        finally:
            connection.close()

    def path(self, path: str) -> str:
        return f"/symetry/rest/{self.cid}{path}"

    def call(self, verb: str, path: str, body: str = "", **query: str | None) -> Answer:
        path = self.path(path)
        text = urlencode({name: value for name, value in query.items() if value is not None}, quote_via=quote)
        return self.send(verb, path, text, body, self.headers(verb, path, text, body))

    def post_json(self, path: str, body: Json, **query: str | None) -> Answer:
        return self.call("POST", path, json.dumps(body), **query)

    def post_sealed(self, path: str, body: Json, **query: str | None) -> Answer:
        return self.call("POST", path, seal_body(self.secret_key, json.dumps(body)), **query)

    def opened(self, answer: Answer, name: str) -> Json:
        """An encrypted value of an answer."""
        opened: Json = json.loads(open_body(self.secret_key, answer.values[name]))
        return opened

    # Federation

    def create(self, pid: str | None, keys: Json) -> Answer:
        return self.post_sealed("/fedml/create", keys, pid=pid)

    def get_encrypted(self, pid: str, keys: Json) -> Answer:
        return self.post_sealed(f"/fedml/{pid}/getEncrypted", keys)

    def get_invitation(self, pid: str, keys: Json) -> Answer:
        return self.post_sealed(f"/fedml/{pid}/getInvitation", keys)

    def create_join(self, keys: Json, pid: str | None = None) -> Answer:
        return self.post_sealed("/fedml/createJoin", keys, pid=pid)

    def info(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/info")

    def start_pulse(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/startPulse")

    def stop_pulse(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/stopPulse")

    def new_schedule(self, pid: str, schedule: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/newSchedule", newSchedule=schedule)

    def full_sync_request(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/fullSyncRequest")

    def set_explore_peers(self, pid: str, allow: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/setExplorePeers", allowExplore=allow)

    def contract_validate(self, pid: str, rules: Sequence[str]) -> Answer:
        return self.post_json(f"/fedml/{pid}/contractValidate", {"values": list(rules)})

    def add_contract(self, pid: str, rules: Sequence[str]) -> Answer:
        return self.post_json(f"/fedml/{pid}/addContract", {"values": list(rules)})

    def error_log(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/getErrorLog")

    def sync_log(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/getSyncLog")

    def clear_error_log(self, pid: str) -> Answer:
        return self.call("DELETE", f"/fedml/{pid}/clearErrorLog")

    def sync_stats(self, pid: str) -> Answer:
        return self.call("GET", f"/fedml/{pid}/syncStats")

    def aws_info(self, keys: Json, pid: str | None = None) -> Answer:
        return self.post_sealed(f"/fedml/{pid}/awsinfo" if pid else "/fedml/awsinfo", keys)

    # Jobs

    def jobs(self) -> Answer:
        return self.call("GET", "/jobs")

    def job(self, number: str) -> Answer:
        return self.call("GET", f"/jobs/{number}")

    def kill_job(self, number: str) -> Answer:
        return self.call("DELETE", f"/jobs/{number}")

    def finished(self, accepted: Answer, seconds: float = 60) -> Answer:
        """The finished job's answer."""
        deadline = time.monotonic() + seconds
        while (answer := self.job(accepted.job)).status == 202:
            if time.monotonic() > deadline:
                raise TimeoutError(f"job {accepted.job} still runs after {seconds} s: {answer.body}")
            time.sleep(0.2)
        return answer

    # Projects

    def create_project(self, pid: str, keys: Json, **query: str) -> Answer:
        return self.post_json("/projects", keys, pid=pid, **query)

    def projects(self) -> Answer:
        return self.call("GET", "/projects/list")

    def projects_info(self) -> Answer:
        return self.call("GET", "/projects/info")

    def project(self, pid: str) -> Answer:
        return self.call("GET", f"/projects/{pid}/info")

    def delete(self, pid: str) -> Answer:
        return self.call("DELETE", f"/projects/{pid}")

    def learn(self, pid: str, rows: Json, **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/learn", rows, **query)

    def forget(self, pid: str, rows: Json, **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/forget", rows, **query)

    def histogram_enable(self, pid: str, enable: str) -> Answer:
        return self.call("POST", f"/projects/{pid}/histogramEnable", enable=enable)

    # Explore

    def explore(self, pid: str, metric: str, contexts: Sequence[Json], **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/explore", {"values": list(contexts)}, metric=metric, **query)

    def density_estimate(self, pid: str, contexts: Sequence[Json], **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/densityEstimate", {"values": list(contexts)}, **query)

    # Models

    def build(self, pid: str, algo: str, model: str, about: Json, **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/build", about, algo=algo, modelid=model, **query)

    def model(self, pid: str, model: str, **query: str) -> Answer:
        return self.call("GET", f"/projects/{pid}/models/{model}", **query)

    def delete_model(self, pid: str, model: str) -> Answer:
        return self.call("DELETE", f"/projects/{pid}/models/{model}")

    def predict(self, pid: str, model: str, rows: Json, **query: str) -> Answer:
        return self.post_json(f"/projects/{pid}/predict/{model}", rows, **query)

    # WebSocket

    def socket(self, call: str, *extra_keys: str) -> "Socket":
        url = f"ws://{urlsplit(self.server).netloc}/symetry/ws/{call}"
        return Socket(self, url, extra_keys)


class Socket:
    """One connection to `/symetry/ws/learn`, `forget` or `predict`; its first message is signed."""

    def __init__(self, client: Client, url: str, extra_keys: Sequence[str]) -> None:
        self._client = client
        self._url = url
        self._extra_keys = extra_keys
        self._is_signed = False
        self._opened = ExitStack()

    def __enter__(self) -> "Socket":
        self._connection = self._opened.enter_context(connect(self._url))
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def send(self, rows: Json) -> Json:
        payload = json.dumps(rows)
        return self.send_text(f"0,{payload}" if self._is_signed else self.signed(payload))

    def signed(self, payload: str) -> str:
        self._is_signed = True
        client = self._client
        return socket_message(client.secret_key, now(), client.cid, payload, self._url, self._extra_keys)

    def send_text(self, message: str) -> Json:
        """Any message, e.g. one that breaks the contract."""
        self._connection.send(message)
        answer: Json = json.loads(self._connection.recv(timeout=60))
        return answer
