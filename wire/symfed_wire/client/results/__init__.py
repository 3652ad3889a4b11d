"""What the client's calls answer, as typed values."""

from symfed_wire.client.results.federations import (
    AwsInfo,
    AwsSubscription,
    Condition,
    FederationInfo,
    MergedStats,
    PeerStats,
    SyncStats,
)
from symfed_wire.client.results.jobs import Job, JobInfo
from symfed_wire.client.results.models import Coefficient, ModelInfo
from symfed_wire.client.results.projects import ProjectInfo, RowCount
from symfed_wire.client.results.statistics import Density, Explored, Prediction

__all__ = [
    "AwsInfo",
    "AwsSubscription",
    "Coefficient",
    "Condition",
    "Density",
    "Explored",
    "FederationInfo",
    "Job",
    "JobInfo",
    "MergedStats",
    "ModelInfo",
    "PeerStats",
    "Prediction",
    "ProjectInfo",
    "RowCount",
    "SyncStats",
]
