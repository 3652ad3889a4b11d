"""What the node's answers hold, in the words of the contract (dataplane.md, wire.md). Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from symfed_node.density import Density
from symfed_node.exchange.loop import Exchanger
from symfed_node.exchange.rounds import Rounds
from symfed_node.explore import Figures
from symfed_node.modelstore import json_number
from symfed_node.project import Project, scope
from symfed_node.statistics.doubledouble import FloatArray
from symfed_wire.documents import SnapshotHead
from symfed_wire.node_config import NodeConfig

Values = dict[str, JsonValue]


def sml_info(config: NodeConfig, project: Project, exchanger: Exchanger | None, *, use_local: bool) -> Values:
    """`values.smlInfo`. Of what the contract lists, data sets do not exist yet."""
    view = project.view(use_local=use_local)
    models = project.models.all(scope(use_local))
    membership = config.membership
    params: Values = {
        "fed_pulsing": bool(exchanger and exchanger.is_pulsing),
        "fed_has_error": bool(exchanger and exchanger.rounds.log.errors),
        "fed_is_admin": bool(membership and membership.admin),
        "fed_computes_on": project.device.name,
        "rows": view.rows,
        "epoch": view.epoch,
    }
    return {
        "pid": config.project,
        "attributeNames": list(view.names),
        "attributeIndexes": [str(index) for index in range(len(view.names))],
        "attributeTypes": [feature.type for feature in view.features],
        "modelsList": [model["modelId"] for model in models],
        "modelTypeList": [model["modelType"] for model in models],
        "dsList": [],
        "params": params,
        "type": config.compute,
        "loaded": True,
        "persisted": True,
        "histogramEnabled": True,
        "autoSave": True,
        "creationDate": project.created,
        "lastModificationDate": project.modified or project.created,
        "categorySeparator": "$",
    }


def sync_stats(project: Project, rounds: Rounds, now: datetime) -> Values:
    """`values.fedSyncStats`: what was exchanged, and what is in the sum now."""
    log = rounds.log
    federated = project.federated
    view = project.view()
    heads = federated.members if federated else {}
    uuids = {member.uuid for member in rounds.document.active_members()} | heads.keys()
    peers: Values = {
        peer: _peer_stats(rounds.names.get(peer, ""), heads.get(peer), now) for peer in sorted(uuids)
    }
    return {
        "sndCount": log.sent,
        "sndContractError": 0,
        "rcvCount": log.received,
        "rcvError": log.receive_errors,
        "rcvContractError": {},
        "errorLog": list(log.errors),
        "syncLog": list(log.events),
        "schedule": rounds.document.settings.schedule,
        "peers": peers,
        "merged": {
            "epoch": view.epoch,
            "digest": federated.digest if federated else view.digest,
            "rows": view.rows,
        },
    }


def predictions(values: FloatArray) -> Values:
    """`values.KSVSMap`: a map for each row, in order."""
    return {"values": [{"res": str(json_number(value))} for value in values.tolist()]}


def figures(entries: Sequence[Figures]) -> Values:
    """`values.KSVDMap`."""
    return {"values": [{name: json_number(value) for name, value in entry.items()} for entry in entries]}


def densities(entries: Sequence[Density]) -> Values:
    """`values.densityList`."""
    return {
        "values": [
            {
                "attrName": entry.name,
                "min": entry.low,
                "max": entry.high,
                "width": entry.width,
                "histogram": entry.rows.tolist(),
            }
            for entry in entries
        ]
    }


def _peer_stats(name: str, head: SnapshotHead | None, now: datetime) -> Values:
    """A member's snapshot in the sum; epoch 0 for one that has none there."""
    if head is None:
        return {"name": name, "epoch": 0, "digest": None, "rows": 0, "ageSeconds": None}
    age = max(0, int((now - _moment(head.created)).total_seconds()))
    return {"name": name, "epoch": head.epoch, "digest": head.sha256, "rows": head.rows, "ageSeconds": age}


def _moment(text: str) -> datetime:
    """When a head says that it was made; a member's clock and spelling are its own."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return datetime.now(UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
