"""A federation as one of its peers sees it."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import AliasChoices, ConfigDict, Field

from symfed_wire.client.results.base import Result


class Condition(Result):
    """A condition of a project's FederationPeer; docs/conditions.md explains the reasons."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class FederationInfo(Result):
    """A project's federation as the peer sees it; secrets come masked."""

    model_config = ConfigDict(frozen=True, alias_generator=None, extra="ignore")

    fed_name: str
    fed_type: str = ""
    fed_local_id: str = ""
    local_uuid: str = ""
    sync_sched: str = ""
    is_pulsing: bool = False
    allow_peers_explore: bool = False
    fed_use_smpc: bool = False
    aws_id: str = ""
    aws_topic_arn: str = ""
    s3_bucket: str = ""
    peers: Mapping[str, str] = Field(default={}, validation_alias="peersInfo")
    """uuid → name; empty while the peer's node cannot be asked"""
    conditions: tuple[Condition, ...] = ()
    """empty from a server that does not send them"""


class AwsSubscription(Result):
    """Who gets what a topic is told."""

    model_config = ConfigDict(frozen=True, alias_generator=None, extra="ignore")

    owner: str = ""
    protocol: str = ""
    endpoint: str = ""
    subscription_arn: str = ""


class AwsInfo(Result):
    """What an AWS account has, by region in the form `US_EAST_1`."""

    topics: Mapping[str, tuple[Mapping[str, tuple[AwsSubscription, ...]], ...]]
    """of each topic its subscriptions, by its ARN"""
    queues: Mapping[str, tuple[str, ...]]
    """URLs"""
    skipped: Mapping[str, str] = {}
    """why a region was left out; empty from a server that does not say"""


class PeerStats(Result):
    """A member's newest snapshot, as this peer has it; epoch 0 means none yet."""

    name: str = ""
    epoch: int = 0
    digest: str | None = None
    rows: int = 0
    age_seconds: float | None = None


class MergedStats(Result):
    """The sum of the members' snapshots; `epoch_sum` grows whenever one of them is newer."""

    epoch_sum: int = Field(
        default=0, validation_alias=AliasChoices("epoch", "epochSum", "epoch_sum", "epoch sum")
    )
    digest: str | None = None
    rows: int = 0


class SyncStats(Result):
    """What went over the exchange so far, and what is merged now."""

    snd_count: int = 0
    rcv_count: int = 0
    rcv_error: int = 0
    error_log: tuple[str, ...] = ()
    peers: Mapping[str, PeerStats] = {}
    """by uuid"""
    merged: MergedStats = MergedStats()
