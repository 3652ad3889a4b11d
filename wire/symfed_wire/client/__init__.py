"""A client of the REST API: signs, seals, repeats where that is safe, and waits for jobs.

with Client("http://symfed.example:8080", "acme", secret_key) as client:
    print(client.projects())

A class a noun holds the calls (`federations.py`, `projects.py`, …); `results` are what they answer.
"""

from symfed_wire.client.client import Client, generate_password
from symfed_wire.client.http import (
    ApiError,
    ClientError,
    ConnectionFailedError,
    DeadlineError,
    NotAnEnvelopeError,
)

__all__ = [
    "ApiError",
    "Client",
    "ClientError",
    "ConnectionFailedError",
    "DeadlineError",
    "NotAnEnvelopeError",
    "generate_password",
]
