"""Finds secrets where none may be: in logs, events, objects and answers of all parts."""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

import httpx

from tests.integration.line import Line

SHORTEST = 8
# What Secrets hold besides secrets; whatever is not named here must not be seen anywhere.
_PUBLIC = {
    *("compute", "customer", "name", "namespace", "object_uid", "project", "uuid", "federation", "leave_url"),
    *("key", "payload", "sig", "document_key", "documentKey", "fed_document_key"),
    *("ask", "data", "get", "head", "heads", "hosts", "stream", "nats_hosts"),
    *("fed_name", "fed_rest_url", "sync_sched", "user", "nats_sec_user", "ca", "ca.crt", "nats_tls_ca"),
    # An access key's id says whose key it is; AWS's own logs have it.
    *("accessKeyId", "account_id", "region", "bucket", "prefix", "topic_arn", "queue_url", "endpoint_url"),
    *("aws_topic_arn", "aws_topic_region"),
    *("operator.jwt", "nats.conf"),
}


def secrets_of(line: Line) -> dict[str, str]:
    """Every secret of every Secret in the cluster, with where it is."""
    with line.control_plane.client() as api:
        items = api.get("/api/v1/secrets").raise_for_status().json()["items"]
    found: dict[str, str] = {}
    for item in items:
        place = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        for key, value in item.get("data", {}).items():
            for path, text in _leaves(key, _parsed(base64.b64decode(value).decode())):
                found |= dict.fromkeys(_words(text), f"{place} {path}")
    return found


def texts_of(line: Line) -> dict[str, str]:
    """Every log of every part, and every object of every kind; of a Secret all but its data."""
    folder = line.installation.folder
    texts = {str(log.relative_to(folder)): log.read_text() for log in folder.rglob("*.log")}
    with line.control_plane.client() as api:
        for path in _collections(api):
            for item in api.get(path).raise_for_status().json()["items"]:
                seen = {key: value for key, value in item.items() if "secrets" not in path or key != "data"}
                metadata = item["metadata"]
                texts[f"{path} {metadata.get('namespace', '')}/{metadata['name']}"] = json.dumps(seen)
    return texts


def search(secrets: Mapping[str, str], texts: Mapping[str, str]) -> list[str]:
    """Which secret is seen where; without the secret, as this is printed."""
    forms = {form: name for secret, name in secrets.items() for form in forms_of(secret)}
    return sorted({f"{name} in {place}" for place, text in texts.items() for name in _seen(forms, text)})


def forms_of(secret: str) -> set[str]:
    """A text as it may be written: plain, in a URL, in base64 within any other text, and its bytes."""
    forms = {secret, quote(secret, safe="")}
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + secret.encode()).decode().rstrip("=")
        # The characters at the edges depend on what stands beside the secret.
        forms.add(coded[(0, 2, 3)[before] : -1])
    try:
        raw = base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        return forms
    return forms | {raw.hex(), base64.urlsafe_b64encode(raw).decode().rstrip("=")}


def _seen(forms: Mapping[str, str], text: str) -> Iterator[str]:
    return (name for form, name in forms.items() if form in text)


def _collections(api: httpx.Client) -> Iterator[str]:
    """Paths that list all objects of a kind, for every kind that the API server stores."""
    groups = api.get("/apis").raise_for_status().json()["groups"]
    bases = ["/api/v1", *(f"/apis/{group['preferredVersion']['groupVersion']}" for group in groups)]
    for base in bases:
        for resource in api.get(base).raise_for_status().json()["resources"]:
            if "list" in resource["verbs"] and resource["name"] != "componentstatuses":
                yield f"{base}/{resource['name']}"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Texts that are not public, with their paths; the last name of the path decides."""
    if path.rpartition("/")[2] in _PUBLIC:
        return
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}/{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(path, inner)
    elif isinstance(value, str):
        yield path, value


def _words(text: str) -> Iterable[str]:
    """A file of credentials is several secrets, a line each; what is short proves nothing."""
    lines = (line.strip() for line in text.splitlines())
    return (line for line in lines if len(line) >= SHORTEST and not line.startswith(("-", "*")))
