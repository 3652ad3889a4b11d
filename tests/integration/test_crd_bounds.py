"""Every bound and every rule in the CRDs, as the files have them, against a real API server.

Bounds are tried by objects that the schema gives: one at the bound and one beyond it. Each rule must have a
case by hand in `crd_cases`.
"""

import copy
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from symfed_wire.kube import FEDERATIONS, PEERS, JsonObject, Kube, Resource
from symfed_wire.kube_errors import InvalidError
from tests.integration import crd_cases
from tests.integration.crd_cases import EXTERNAL, INVITED, KEY, LOCAL, MANAGED, ON_AWS, PEER_AWS, REMOTE_PEER
from tests.integration.servers import CRDS

Schema = Mapping[str, Any]
Path = tuple[str, ...]  # of properties; `[]` is an item of a list, `{}` a value of a map

FILES: list[tuple[str, Resource]] = [("federations", FEDERATIONS), ("federationpeers", PEERS)]
BOUNDS = {
    "maxLength": "Too long: may not be more than",
    "minLength": "should be at least",
    "maxItems": "Too many: ",
    "minItems": "should have at least",
    "maxProperties": "Too many: ",
    "minimum": "should be greater than or equal to",
    "maximum": "should be less than or equal to",
    "pattern": "should match",
    "enum": "Unsupported value",
}
OTHER_KEYWORDS = {
    "type", "format", "anyOf", "description", "default", "required", "properties", "items",
    "additionalProperties", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-validations",
}  # fmt: skip
NOW = "2025-01-02T03:04:05Z"
QUANTITY = "1073741824." + "0" * 21  # 1Gi
LONGEST = {  # of fields with a pattern, by their names
    "name": "a" * 63,
    "schedule": "m9999",
    "hosts": "nats://" + "a" * 293,
    "streamMaxBytes": QUANTITY,
    "size": QUANTITY,
    "requests": QUANTITY,
    "limits": QUANTITY,
    "region": "eu-" + "a" * 27 + "-1",
    "bucket": "a" * 63,
    "accountId": "1" * 12,
    "endpointUrl": "https://" + "a" * 1016,
    "roleArn": "arn:aws:iam::123456789012:role/" + "a" * 2017,
    "queueArn": "arn:aws:sqs:" + "a" * 2036,
    "project": "a" * 63,
    "uuid": crd_cases.UUID,
    "identityKey": KEY,
    "sealingKey": KEY,
    "writer": "U" + "A" * 55,
    "reader": "U" + "A" * 55,
    "resource": "a" * 253 + "/" + "a" * 63,
    "reason": "A" * 1024,
}


@dataclass(frozen=True)
class Bound:
    """One bound of one field."""

    resource: Resource
    path: Path
    keyword: str
    schema: Schema

    def __str__(self) -> str:
        return f"{self.resource.kind}.{'.'.join(self.path)}:{self.keyword}"

    @property
    def limit(self) -> Any:
        return self.schema[self.keyword]


def schema_of(plural: str) -> Schema:
    crd = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    schema: Schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def walk(schema: Schema, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every schema inside a schema; what it may say must be known here."""
    assert set(schema) <= {*BOUNDS, *OTHER_KEYWORDS}, path
    yield path, schema
    for name, inner in schema.get("properties", {}).items():
        if path or name in ("spec", "status"):
            yield from walk(inner, (*path, name))
    for keyword, step in (("items", "[]"), ("additionalProperties", "{}")):
        if keyword in schema:
            yield from walk(schema[keyword], (*path, step))


ALL_BOUNDS = [
    Bound(resource, path, keyword, schema)
    for plural, resource in FILES
    for path, schema in walk(schema_of(plural))
    for keyword in BOUNDS
    if keyword in schema
]


def longest(path: Path, schema: Schema) -> Any:
    """A good text, as long as it may be."""
    if "enum" in schema:
        return max(schema["enum"], key=len)
    if "format" in schema:
        return NOW
    named = [step for step in path if step not in ("[]", "{}")]
    text = LONGEST[named[-1]] if "pattern" in schema else "a" * schema["maxLength"]
    assert len(text) == schema["maxLength"], path
    return text


def smallest(path: Path, schema: Schema) -> Any:
    """A good value with nothing in it that need not be."""
    kind = schema.get("type", "string")
    if kind == "object":
        required = schema.get("required", [])
        return {name: smallest((*path, name), schema["properties"][name]) for name in required}
    simple = {"array": [], "boolean": False, "integer": schema.get("minimum", 0)}
    return simple[kind] if kind in simple else longest(path, schema)


def several(path: Path, schema: Schema, count: int) -> Any:
    """A list or a map of that many."""
    if schema["type"] == "array":
        items = [smallest((*path, "[]"), schema["items"]) for _ in range(count)]
        keys = schema.get("x-kubernetes-list-map-keys", [])
        return [
            item | dict.fromkeys(keys, f"k{number}") if keys else item for number, item in enumerate(items)
        ]
    inner = schema.get("additionalProperties", {"type": "object"})
    return {f"key{number}": smallest((*path, "{}"), inner) for number in range(count)}


def at(bound: Bound) -> Any:
    """A value at the bound."""
    match bound.keyword:
        case "minLength":
            return "a" * bound.limit
        case "minimum" | "maximum":
            return bound.limit
        case "maxItems" | "minItems" | "maxProperties":
            return several(bound.path, bound.schema, bound.limit)
    return longest(bound.path, bound.schema)


def beyond(bound: Bound) -> Any:
    """A value that the bound forbids."""
    match bound.keyword:
        case "maxLength":
            return longest(bound.path, bound.schema) + "0" * bound.limit
        case "minLength":
            return "a" * (bound.limit - 1)
        case "minimum":
            return bound.limit - 1
        case "maximum":
            return bound.limit + 1
        case "maxItems" | "maxProperties":
            return several(bound.path, bound.schema, bound.limit + 1)
        case "minItems":
            return several(bound.path, bound.schema, bound.limit - 1)
    return " "  # no pattern and no enum has it


def placed(node: Any, path: Path, schema: Schema, value: Any, done: Path = ()) -> Any:
    """The node with a value at the path; what must be beside it is made."""
    if not path:
        return value
    step, rest, here = path[0], path[1:], (*done, path[0])
    if step == "[]":
        return [placed(smallest(here, schema["items"]), rest, schema["items"], value, here)]
    if step == "{}":
        return {"key": placed(None, rest, schema["additionalProperties"], value, here)}
    node = node if isinstance(node, dict) else smallest(done, schema)
    return node | {step: placed(node.get(step), rest, schema["properties"][step], value, here)}


def base_of(bound: Bound) -> JsonObject:
    """An object in which the field may be."""
    has_credentials = "credentialsSecretRef" in bound.path
    if bound.resource is FEDERATIONS:
        base: crd_cases.Spec = MANAGED
        if "aws" in bound.path:
            base = ON_AWS
        elif "hosts" in bound.path or has_credentials:
            base = EXTERNAL
    else:
        base = LOCAL
        if "remote" in bound.path:
            base = REMOTE_PEER
        elif "aws" in bound.path:
            base = INVITED | {"aws": PEER_AWS}
    spec: dict[str, Any] = copy.deepcopy(dict(base))
    if has_credentials and "aws" in spec:
        del spec["aws"]["roleArn"]
    return {"metadata": {"name": f"bound-{secrets.token_hex(8)}"}, "spec": spec}


async def write(kube: Kube, bound: Bound, value: Any) -> None:
    """Have the API server check an object with this value."""
    schema = schema_of("federations" if bound.resource is FEDERATIONS else "federationpeers")
    base = base_of(bound)
    whole = placed(base, bound.path, schema, value)
    if bound.path[0] == "spec":
        await kube.create(bound.resource, "default", whole, dry_run=True)
        return
    stored = await kube.create(bound.resource, "default", base)
    name = str(stored["metadata"]["name"])  # type: ignore[index, call-overload]  # the API server's JSON
    status = {"status": whole["status"]}
    await kube.patch(bound.resource, "default", name, status, manager="tests", subresource="status")


@pytest.mark.parametrize("bound", ALL_BOUNDS, ids=str)
async def test_a_bound_holds(kube: Kube, bound: Bound) -> None:
    await write(kube, bound, at(bound))
    for value in bound.schema.get("enum", []):
        await write(kube, bound, value)
    with pytest.raises(InvalidError, match=BOUNDS[bound.keyword]):
        await write(kube, bound, beyond(bound))


# --- rules ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rule:
    """One rule in CEL."""

    resource: Resource
    path: Path
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.resource.kind}.{'.'.join(self.path)}:{self.message}"

    @property
    def compares(self) -> bool:
        """Whether it is about a change."""
        return "oldSelf" in self.rule


RULES = [
    Rule(resource, path, validation["rule"], validation["message"])
    for plural, resource in FILES
    for path, schema in walk(schema_of(plural))
    for validation in schema.get("x-kubernetes-validations", [])
]
REFUSALS = [
    *((resource, words) for resource, _, words in crd_cases.REFUSED),
    *((resource, words) for resource, _, _, words in crd_cases.UNCHANGEABLE),
    *((resource, words) for _, resource in FILES for _, words in crd_cases.BAD_NAMES),
]


def has(spec: Any, path: Path) -> bool:
    """Whether the object that a rule is about is there."""
    return not path or (path[0] in spec and has(spec[path[0]], path[1:]))


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_has_a_case_that_it_refuses(rule: Rule) -> None:
    found = [words for resource, words in REFUSALS if resource is rule.resource and words in rule.message]
    assert found, "crd_cases has nothing that this rule refuses"


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_has_a_case_that_it_takes(rule: Rule) -> None:
    taken: list[tuple[Resource, tuple[crd_cases.Spec, ...]]] = [
        *((resource, (spec,)) for resource, spec in crd_cases.ACCEPTED if not rule.compares),
        *((resource, (before, after)) for resource, before, after in crd_cases.CHANGEABLE),
    ]
    assert any(
        resource is rule.resource and all(has(spec, rule.path[1:]) for spec in specs)
        for resource, specs in taken
    ), "crd_cases has nothing with this field that the rule takes"


def test_the_words_of_a_refusal_are_those_of_one_rule() -> None:
    for resource, words in REFUSALS:
        rules = [rule for rule in RULES if rule.resource is resource and words in rule.message]
        assert len(rules) <= 1, f"{words!r} may be of any of {[rule.message for rule in rules]}"
