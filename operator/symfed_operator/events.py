"""kopf watches; each event becomes a key in the work queue. Nothing is decided here.

Only `on.event` is used, so that kopf writes neither finalizers nor annotations.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, cast

import kopf
from pydantic import JsonValue

from symfed_operator.cluster import LABEL_COMPONENT, LABEL_INSTANCE, LABEL_MANAGED_BY, MANAGER
from symfed_operator.manifests import COMPONENT_NODE
from symfed_operator.queue import Key, customer_key, federation_key, peer_key
from symfed_wire.kube_config import KubeConfig
from symfed_wire.names import GROUP, VERSION
from symfed_wire.resources import FederationPeer, ObjectMeta

_OURS: Final = f"{LABEL_COMPONENT}={COMPONENT_NODE},{LABEL_MANAGED_BY}={MANAGER}"

Body = Mapping[str, JsonValue]


def federation_keys(kind: str | None, body: Body) -> list[Key]:
    """What an event of a Federation concerns; `kind` is None for what was there at the start."""
    meta = _meta(body)
    key = Key("federation", meta.namespace, meta.name)
    return [key] if kind == "MODIFIED" else [key, customer_key(meta.namespace)]


def peer_keys(kind: str | None, body: Body) -> list[Key]:
    """What an event of a FederationPeer concerns; when it comes or goes also federation and customer."""
    peer = FederationPeer.model_validate(body)
    key = peer_key(peer.metadata)
    if kind == "MODIFIED":
        return [key]
    federation = federation_key(peer)
    return [key, customer_key(peer.metadata.namespace), *([federation] if federation else [])]


def namespace_keys(_kind: str | None, body: Body) -> list[Key]:
    """What an event of a Namespace concerns."""
    return [customer_key(_meta(body).name)]


def child_keys(_kind: str | None, body: Body) -> list[Key]:
    """What an event of a node's StatefulSet or pod concerns: the peer that its label names."""
    meta = _meta(body)
    instance = meta.labels.get(LABEL_INSTANCE)
    return [Key("peer", meta.namespace, instance)] if instance else []


def registry(add: Callable[[Key], None]) -> kopf.OperatorRegistry:
    """The watches of the operator; each event's keys go to `add`."""
    watches = kopf.OperatorRegistry()

    def sending(keys_of: Callable[[str | None, Body], list[Key]]) -> Callable[..., Awaitable[None]]:
        # Not a plain function: kopf would call it in a thread, and the queue is the event loop's.
        async def handler(event: kopf.RawEvent, **_: Any) -> None:
            for key in keys_of(event["type"], cast("Body", event["object"])):
                add(key)

        return handler

    kopf.on.login(registry=watches)(_login)
    kopf.on.event(GROUP, VERSION, "federations", registry=watches)(sending(federation_keys))
    kopf.on.event(GROUP, VERSION, "federationpeers", registry=watches)(sending(peer_keys))
    kopf.on.event("v1", "namespaces", registry=watches)(sending(namespace_keys))
    kopf.on.event("apps", "v1", "statefulsets", registry=watches)(sending(child_keys))
    kopf.on.event("v1", "pods", registry=watches)(sending(child_keys))
    return watches


async def watch(add: Callable[[Key], None], handle_signals: Callable[[], None]) -> None:
    """Watch for ever.

    kopf takes the signals for itself, and after one waits five seconds for tasks that are not its own; so
    `handle_signals` takes them back.
    """
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry(add), settings=kopf_settings(), standalone=True, clusterwide=True
    )
    handle_signals()
    await kopf.run_tasks(tasks, ignored=before)


def kopf_settings() -> kopf.OperatorSettings:
    """kopf without what other mechanisms do: no peering, no events of its own.

    Of pods and StatefulSets the API server sends only the nodes': a filter at the handler would let it list
    and stream those of the whole cluster.
    """
    settings = kopf.OperatorSettings()
    settings.watching.label_selectors["v1", "pods"] = _OURS
    settings.watching.label_selectors["apps", "v1", "statefulsets"] = _OURS
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.process.ultimate_exiting_timeout = 30
    logging.getLogger("kopf").setLevel(logging.WARNING)
    return settings


def _login(**_: Any) -> kopf.ConnectionInfo:
    """The credentials of the operator's own client; asked again when the API server refuses them."""
    config = KubeConfig.find()
    token = Path(config.token_file).read_text().strip() if config.token_file else config.token
    return kopf.ConnectionInfo(
        server=config.server,
        ca_path=config.ca_file,
        token=token,
        certificate_path=config.client_cert,
        private_key_path=config.client_key,
    )


def _meta(body: Body) -> ObjectMeta:
    return ObjectMeta.model_validate(body["metadata"])
