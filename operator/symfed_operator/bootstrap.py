"""The identity of the embedded NATS system, made once in the cluster by the chart's hook.

Everything derives from one root seed: its Secret is made first, so that a half-made set is completed with
keys that fit, and an upgrade finds the same ones. One-way derivation: no other key tells the root.
"""

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_settings import BaseSettings, SettingsConfigDict

from symfed_operator.backends.nats.jwt import Claims, credentials, encode
from symfed_operator.backends.nats.keys import ACCOUNT, OPERATOR, USER, new_seed, public_key, seed_from
from symfed_wire.errors import SymfedError
from symfed_wire.kube import SECRETS, JsonObject, Kube
from symfed_wire.kube_config import KubeConfig
from symfed_wire.kube_errors import ConflictError

ROOT_SECRET = "symfed-nats-root"  # noqa: S105 - a Secret's name
OPERATOR_SECRET = "symfed-nats-operator"  # noqa: S105 - a Secret's name
SYSTEM_SECRET = "symfed-nats-system"  # noqa: S105 - a Secret's name
CONFIG_SECRET = "symfed-nats-config"  # noqa: S105 - a Secret's name

_QUANTITY = re.compile(r"[1-9][0-9]*([KMGTPE]i?)?")
_PATH = re.compile(r"/[A-Za-z0-9._/-]*")


class BootstrapError(SymfedError):
    """The NATS system's identity cannot be made, or what is there is not ours."""

    reason = "BootstrapFailed"


class NatsServerSettings(BaseSettings):
    """What nats.conf depends on: `SYMFED_NATS_DATA`, `SYMFED_NATS_MAX_FILE_STORE`.

    Args:
        nats_data: the data volume; JetStream and the accounts' JWTs lie in it.
        nats_max_file_store: JetStream's limit for all accounts together (`100Gi`, or bytes).
    """

    model_config = SettingsConfigDict(env_prefix="SYMFED_", frozen=True)

    nats_data: str = "/data"
    nats_max_file_store: str = "100Gi"


class _HookSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SYMFED_")

    namespace: str


@dataclass(frozen=True)
class NatsIdentity:
    """The keys and tokens of a NATS system, all from its root seed."""

    operator_signing_seed: str = field(repr=False)
    operator_jwt: str
    system_account: str
    system_jwt: str
    system_creds: str = field(repr=False)


def identity_from(root: str, issued: datetime) -> NatsIdentity:
    """The identity that a root seed (`SO…`) gives; the same every time. Pure."""
    signing = _derived(root, "operator signing key", OPERATOR)
    account = _derived(root, "system account", ACCOUNT)
    account_signing = _derived(root, "system account signing key", ACCOUNT)
    user = _derived(root, "system user", USER)
    operator_claims: Claims = {
        "signing_keys": [public_key(signing)],
        "system_account": public_key(account),
        "strict_signing_key_usage": True,
    }
    unlimited: Claims = {"subs": -1, "data": -1, "payload": -1}
    account_claims: Claims = {
        "limits": {**unlimited, "imports": -1, "exports": -1, "conn": -1, "leaf": -1},
        "signing_keys": [public_key(account_signing)],
    }
    user_token = encode(
        "user",
        {**unlimited, "issuer_account": public_key(account)},
        subject=public_key(user),
        signer=account_signing,
        issued=issued,
        name="symfed-operator",
    )
    return NatsIdentity(
        operator_signing_seed=signing,
        operator_jwt=encode(
            "operator",
            operator_claims,
            subject=public_key(root),
            signer=root,
            issued=issued,
            name="symfed",
        ),
        system_account=public_key(account),
        system_jwt=encode(
            "account",
            account_claims,
            subject=public_key(account),
            signer=signing,
            issued=issued,
            name="SYS",
        ),
        system_creds=credentials(user_token, user),
    )


def nats_conf(identity: NatsIdentity, settings: NatsServerSettings) -> str:
    """nats.conf of the embedded server: operator mode, accounts kept on the volume. Pure.

    Raises BootstrapError for a size or a path that nats.conf cannot hold.
    """
    if not _QUANTITY.fullmatch(settings.nats_max_file_store):
        raise BootstrapError(
            f"SYMFED_NATS_MAX_FILE_STORE is {settings.nats_max_file_store!r}: write a size such as 100Gi"
        )
    if not _PATH.fullmatch(settings.nats_data):
        raise BootstrapError(f"SYMFED_NATS_DATA is {settings.nats_data!r}: write an absolute path")
    return f"""\
listen: 0.0.0.0:4222
http: 0.0.0.0:8222

operator: {identity.operator_jwt}
system_account: {identity.system_account}

resolver {{
  type: full
  dir: "{settings.nats_data}/accounts"
  allow_delete: true
  interval: "2m"
  limit: 100000
}}
resolver_preload: {{
  {identity.system_account}: {identity.system_jwt}
}}

jetstream {{
  store_dir: "{settings.nats_data}/jetstream"
  max_memory_store: 0
  max_file_store: {settings.nats_max_file_store}
}}
"""


async def bootstrap(kube: Kube, namespace: str, settings: NatsServerSettings) -> None:
    """Makes the Secrets that are missing and brings nats.conf up to date; keys that are there stay.

    Raises BootstrapError, KubeError.
    """
    root = await _create_or_read(kube, namespace, ROOT_SECRET, {"seed": new_seed(OPERATOR)})
    seed = _texts(root).get("seed")
    if seed is None:
        raise BootstrapError(f"Secret {namespace}/{ROOT_SECRET} has no key `seed`: restore it, or delete it")
    identity = identity_from(seed, _created(root))
    keys = {
        OPERATOR_SECRET: {
            "signing-seed": identity.operator_signing_seed,
            "operator.jwt": identity.operator_jwt,
        },
        SYSTEM_SECRET: {"user.creds": identity.system_creds},
    }
    for name, texts in keys.items():
        if _texts(await _create_or_read(kube, namespace, name, texts)) != texts:
            raise BootstrapError(
                f"Secret {namespace}/{name} does not come from Secret {namespace}/{ROOT_SECRET}: restore the"
                f" {ROOT_SECRET} that it was made with. Accounts of another root are lost to this server"
            )
    config = {"nats.conf": nats_conf(identity, settings)}
    stored = await _create_or_read(kube, namespace, CONFIG_SECRET, config)
    if _texts(stored) != config:
        await kube.replace(SECRETS, namespace, CONFIG_SECRET, {**stored, "data": _encoded(config)})


async def bootstrap_from_environment() -> None:
    """`symfed-operator bootstrap-nats`: `bootstrap` in `SYMFED_NAMESPACE`, with settings by environment."""
    hook = _HookSettings()
    async with Kube(KubeConfig.find()) as kube:
        await bootstrap(kube, hook.namespace, NatsServerSettings())


async def _create_or_read(kube: Kube, namespace: str, name: str, texts: dict[str, str]) -> JsonObject:
    """The Secret as it is in the cluster, made with these texts when it was missing."""
    body: JsonObject = {
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": _encoded(texts),
    }
    try:
        return await kube.create(SECRETS, namespace, body)
    except ConflictError:
        return await kube.get(SECRETS, namespace, name)


def _derived(root: str, purpose: str, kind: int) -> str:
    raw = HKDF(SHA256(), length=32, salt=None, info=f"symfed/nats/v1|{purpose}".encode()).derive(
        root.encode()
    )
    return seed_from(raw, kind)


def _encoded(texts: dict[str, str]) -> JsonObject:
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def _texts(secret: JsonObject) -> dict[str, str]:
    data = secret.get("data")
    if not isinstance(data, dict):
        return {}
    return {key: base64.b64decode(str(value)).decode() for key, value in data.items()}


def _created(secret: JsonObject) -> datetime:
    metadata = secret["metadata"]
    if not isinstance(metadata, dict):
        raise BootstrapError("the API server answered a Secret without metadata")
    return datetime.fromisoformat(str(metadata["creationTimestamp"]))
