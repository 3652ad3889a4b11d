"""The mirrors of the custom resources: the same fields, defaults and enums as the CRDs, and the names."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from symfed_wire.names import (
    federation_secret,
    grant_secret,
    invitation_claim,
    invitation_secret,
    node_secret,
    object_name,
    remote_name,
    token_secret,
)
from symfed_wire.quantities import parse_quantity
from symfed_wire.resources import (
    Condition,
    Federation,
    FederationPeer,
    find_condition,
    set_condition,
)

CRDS = Path(__file__).parents[3] / "crds"
UUID = "6f1c1e8a-9d0e-4c6c-8a54-0f3f6f0d2b11"
NOON = datetime(2025, 1, 2, 12, 0, 0, 123456, tzinfo=UTC)

Schema = Mapping[str, Any]


# --- the CRDs against the mirrors ----------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """One field that both sides have."""

    path: str
    schema: Schema
    mirror: FieldInfo
    is_required: bool


def schema_of(plural: str) -> Schema:
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def model_in(annotation: object) -> type[BaseModel] | None:
    """The model that an annotation holds, alone, optional or in a tuple."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType):
        return next((model for part in get_args(annotation) if (model := model_in(part))), None)
    return None


def literals_in(annotation: object) -> set[object]:
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    return {value for part in get_args(annotation) for value in literals_in(part)}


def compare(schema: Schema, model: type[BaseModel], path: str) -> Iterator[Field]:
    """Walks both sides; a field that only one of them has fails here."""
    schema = schema.get("items", schema)
    properties = schema.get("properties", {})
    fields = {field.alias: field for field in model.model_fields.values()}
    assert set(properties) == set(fields), path
    for name, inner in properties.items():
        if (path, name) in {("Federation", "metadata"), ("FederationPeer", "metadata")}:
            continue
        yield Field(f"{path}.{name}", inner, fields[name], name in schema.get("required", []))
        if nested := model_in(fields[name].annotation):
            yield from compare(inner, nested, f"{path}.{name}")
        else:
            assert "properties" not in inner.get("items", inner), f"{path}.{name} has no model"


FIELDS = [
    *compare(schema_of("federations"), Federation, "Federation"),
    *compare(schema_of("federationpeers"), FederationPeer, "FederationPeer"),
]


def test_a_field_that_one_side_lacks_is_found() -> None:
    schema = schema_of("federations")
    spec = schema["properties"]["spec"]["properties"]
    nested = spec["nats"]["properties"]
    for fields, name in ((spec, "schedule"), (nested, "managed")):
        kept = fields.pop(name)
        with pytest.raises(AssertionError, match=r"Federation\.spec"):
            list(compare(schema, Federation, "Federation"))
        fields[name] = kept
        fields["more"] = {"type": "boolean"}
        with pytest.raises(AssertionError, match=r"Federation\.spec"):
            list(compare(schema, Federation, "Federation"))
        del fields["more"]
    assert list(compare(schema, Federation, "Federation"))


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_defaults_agree(field: Field) -> None:
    # Defaulting runs before CEL: a default on the first level of a peer would refuse every remote peer.
    is_peer_top_level = re.fullmatch(r"FederationPeer\.spec\.\w+", field.path) is not None
    if is_peer_top_level or field.mirror.is_required() or field.path.endswith((".apiVersion", ".kind")):
        assert "default" not in field.schema
        return
    default = field.mirror.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, BaseModel):
        # An object by default is one with nothing set: what is inside is compared by itself.
        assert (default.model_fields_set, field.schema.get("default", {})) == (set(), {})
    else:
        is_empty = default in (None, (), {})  # an absent list or map says the same
        assert field.schema.get("default") == (None if is_empty else default)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_enums_agree(field: Field) -> None:
    if not field.path.endswith((".apiVersion", ".kind")):
        assert set(field.schema.get("enum", [])) == literals_in(field.mirror.annotation)


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_required_fields_agree(field: Field) -> None:
    if field.path.endswith(".lastTransitionTime"):
        assert field.is_required  # set_condition fills it in
    else:
        assert field.mirror.is_required() == field.is_required


def test_everything_is_bounded() -> None:
    unbounded = []

    def walk(schema: Schema, path: str) -> None:
        kind = schema.get("type") or ("string" if schema.get("x-kubernetes-int-or-string") else "")
        is_map = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
        bounds = {"string": "maxLength", "array": "maxItems", "object": "maxProperties" if is_map else ""}
        bound = bounds.get(kind)
        if bound and bound not in schema:
            unbounded.append(path)
        for name, inner in schema.get("properties", {}).items():
            walk(inner, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if key in schema:
                walk(schema[key], f"{path}[]")

    for plural in ("federations", "federationpeers"):
        for part in ("spec", "status"):
            walk(schema_of(plural)["properties"][part], f"{plural}.{part}")
    assert unbounded == []


# --- objects -------------------------------------------------------------------------------------------


def peer(spec: Mapping[str, object]) -> FederationPeer:
    return FederationPeer.model_validate({"metadata": {"name": "a"}, "spec": spec})


def test_which_peer_it_is() -> None:
    remote = {"uuid": UUID, "displayName": "b", "identityKey": "k", "sealingKey": "k"}
    elsewhere = peer({"federationRef": {"name": "f"}, "remote": remote})
    assert (elsewhere.is_remote, elsewhere.is_hosted, elsewhere.is_local) == (True, False, False)
    admin = peer({"project": "a", "federationRef": {"name": "f"}})
    assert (admin.is_remote, admin.is_hosted, admin.is_local) == (False, True, False)
    invited = peer({"project": "a", "invitationSecretRef": {"name": "i"}})
    assert (invited.is_remote, invited.is_hosted, invited.is_local) == (False, True, False)
    local = peer({"project": "a"})
    assert (local.is_remote, local.is_hosted, local.is_local) == (False, True, True)


def test_manifest_has_what_was_set() -> None:
    read = peer({"project": "a", "storage": {"size": 1024}, "unknown": 1})
    assert read.manifest() == {
        "apiVersion": "symfed.dev/v1alpha1",
        "kind": "FederationPeer",
        "metadata": {"name": "a"},
        "spec": {"project": "a", "storage": {"size": 1024}},
    }


def test_managed_is_an_empty_object() -> None:
    spec = {"name": "f", "schedule": "m1", "nats": {"managed": {}}}
    federation = Federation.model_validate({"metadata": {"name": "f"}, "spec": spec})
    assert federation.manifest()["spec"] == spec
    assert federation.spec.nats is not None
    assert federation.spec.nats.managed is not None


def test_mirrors_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        peer({}).spec.pulse = False  # type: ignore[misc] # what the test is about


# --- conditions ----------------------------------------------------------------------------------------


def condition(status: Literal["True", "False"], reason: str, kind: str = "Ready") -> Condition:
    return Condition(type=kind, status=status, reason=reason)


def test_condition_time_moves_with_the_status_only() -> None:
    first = set_condition((), condition("False", "Starting"), NOON)
    assert first[0].to_json() == {
        "type": "Ready",
        "status": "False",
        "reason": "Starting",
        "lastTransitionTime": "2025-01-02T12:00:00Z",
    }
    later = NOON + timedelta(hours=1)
    same = set_condition(first, condition("False", "Waiting"), later)
    assert (same[0].reason, same[0].last_transition_time) == ("Waiting", first[0].last_transition_time)
    other = set_condition(same, condition("True", "Current"), later)
    assert other[0].last_transition_time == later.replace(microsecond=0)


def test_conditions_keep_their_places() -> None:
    conditions: tuple[Condition, ...] = ()
    for kind in ("Ready", "Joined"):
        conditions = set_condition(conditions, condition("True", "Current", kind), NOON)
    conditions = set_condition(conditions, condition("False", "Late"), NOON)
    assert [each.type for each in conditions] == ["Ready", "Joined"]
    found = find_condition(conditions, "Joined")
    assert found is not None
    assert found.reason == "Current"
    assert find_condition(conditions, "Exchanging") is None


def test_condition_time_is_utc() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=5)))
    stamped = set_condition((), condition("True", "Current"), there)[0]
    assert stamped.to_json()["lastTransitionTime"] == "2025-01-02T12:00:00Z"


# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["iris", "a", "iris-2", "a" * 45, "remote-ward"])
def test_a_good_name_stays(name: str) -> None:
    assert object_name(name) == name


@pytest.mark.parametrize(
    ("project", "expected"),
    [
        ("Iris", r"iris-[0-9a-f]{8}"),
        ("iris_a", r"iris-a-[0-9a-f]{8}"),
        ("iris.a", r"iris-a-[0-9a-f]{8}"),
        ("iris-", r"iris-[0-9a-f]{8}"),
        ("7th", r"p-7th-[0-9a-f]{8}"),
        ("___", r"p-[0-9a-f]{8}"),
        ("a" * 46, r"a{36}-[0-9a-f]{8}"),
        (f"remote-{UUID}", r"remote-6f1c1e8a-9d0e-4c6c-8a54-0f3f6-[0-9a-f]{8}"),
    ],
)
def test_another_name_gets_its_hash(project: str, expected: str) -> None:
    name = object_name(project)
    assert re.fullmatch(expected, name)
    assert len(name) <= 45
    assert name == object_name(project)


def test_different_projects_get_different_names() -> None:
    projects = ["Iris", "iris", "IRIS", "iris_", "iris.", "iris-a", "iris_a", "iris.a", "a" * 50, "a" * 51]
    assert len({object_name(project) for project in projects}) == len(projects)


def test_names_of_what_belongs_to_a_peer() -> None:
    assert remote_name(UUID) == f"remote-{UUID}"
    assert grant_secret(UUID) == f"remote-{UUID}-grant"
    assert (federation_secret("a"), node_secret("a"), token_secret("a")) == (
        "a-federation",
        "a-node",
        "a-token",
    )
    assert invitation_secret("a", "0123456789abcdef") == "a-invitation-01234567"
    # sha256 of the token, by an independent program
    assert (
        invitation_claim("FEDTOKEN0123456789abcdef") == "symfed-inv-a96a1ef85771db60298cd927f2cff13fd5443ef8"
    )


# --- quantities ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "number"),
    [
        (7, 7),
        ("7", 7),
        ("1Gi", 2**30),
        ("16Mi", 2**24),
        ("1Ti", 2**40),
        ("1.5Ki", 1536),
        ("1G", 10**9),
        ("1e3", 1000),
        ("2E", 2 * 10**18),
        ("100m", 1),
        (".5Ki", 512),
    ],
)
def test_quantity(text: int | str, number: int) -> None:
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "Gi", "1gi", "1 Gi", "1KB", "0x10", "1e", "NaN"])
def test_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(text))):
        parse_quantity(text)
