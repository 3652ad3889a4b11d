"""What `make up` wrote about the cluster it left running."""

import os
import shlex
from pathlib import Path

from examples.demo.flow import Customer, Surroundings

ENVIRONMENT = Path(".symfed/env")


def read_surroundings() -> Surroundings:
    """Read .symfed/env; its variables become this process's too, as KUBECONFIG is for kubectl.

    Raises FileNotFoundError when there is no cluster of `make up`.
    """
    if not ENVIRONMENT.exists():
        raise FileNotFoundError(f"no {ENVIRONMENT}: bring a cluster up by `make up`, then try again")
    for line in shlex.split(ENVIRONMENT.read_text(), comments=True):
        name, assigns, value = line.partition("=")
        if assigns:
            os.environ[name] = value
    env = os.environ
    return Surroundings(
        url=env["SYMFED_URL"],
        founding={"nats_hosts": env["SYMFED_NATS"]},
        customers=(
            Customer(env["SYMFED_CUSTOMER"], env["SYMFED_SECRET_KEY"]),
            Customer(env["SYMFED_CUSTOMER_2"], env["SYMFED_SECRET_KEY_2"]),
        ),
    )
