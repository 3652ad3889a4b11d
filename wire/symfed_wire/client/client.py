"""All calls of one customer in one class."""

from __future__ import annotations

import secrets

from symfed_wire.client.federations import FederationCalls
from symfed_wire.client.models import ModelCalls
from symfed_wire.client.rows import RowCalls
from symfed_wire.client.statistics import StatisticsCalls


class Client(FederationCalls, ModelCalls, RowCalls, StatisticsCalls):
    """The calls of one customer. Every method may raise ApiError and ConnectionFailedError."""


def generate_password() -> str:
    """A random password for an invitation, as long as its first form allows."""
    return secrets.token_urlsafe(12)
