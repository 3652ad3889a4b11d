"""Every command of `symfed`: its place in the help, and its examples, a line each."""

from __future__ import annotations

from collections.abc import Callable

from symfed_wire.cli.app import app
from symfed_wire.cli.awsinfo import awsinfo
from symfed_wire.cli.explore import density, explore
from symfed_wire.cli.federations import create, invite, join
from symfed_wire.cli.jobs import jobs
from symfed_wire.cli.learn import forget, learn
from symfed_wire.cli.logs import errors, log
from symfed_wire.cli.models import build, model
from symfed_wire.cli.predict import predict
from symfed_wire.cli.profiles import profiles
from symfed_wire.cli.projects import delete, info, projects
from symfed_wire.cli.status import status
from symfed_wire.cli.switches import allow_explore, pulse, schedule
from symfed_wire.cli.sync import sync

__all__ = ["COMMANDS", "app"]

COMMANDS: dict[str, dict[Callable[..., None], str]] = {
    "Federations": {
        create: "create hospital-a --name study --schedule m30 --nats nats://nats.example:4222\n"
        "create hospital-a --name study --bucket acme-study --aws-region eu-central-1",
        invite: "invite hospital-a --password 'correct horse' > invitation.txt",
        join: "join - --project hospital-b < invitation.txt\n"
        "join - --bucket beta-study --aws-account 123456789012 < invitation.txt",
        sync: "sync hospital-a --wait --peers 3",
        schedule: "schedule hospital-a h3",
        pulse: "pulse hospital-b stop",
        allow_explore: "allow-explore hospital-b on",
    },
    "Rows and models": {
        learn: "learn hospital-a visits.csv --ignore name --types smoker=B",
        forget: "forget hospital-a withdrawn.csv --ignore name --types smoker=B",
        explore: "explore hospital-a weight height --with age",
        density: "density hospital-a age --bins 20",
        build: "build hospital-a --model risk --target age --inputs weight,height",
        model: "model hospital-a risk --output json",
        predict: "predict hospital-a risk new-visits.csv > predicted.csv",
    },
    "What there is": {
        status: "status hospital-a --watch",
        projects: "projects --long",
        info: "info hospital-a",
        log: "log hospital-a",
        errors: "errors hospital-a --clear",
        jobs: "jobs --output json",
        awsinfo: "awsinfo --aws-region eu-central-1",
        profiles: "profiles",
        delete: "delete hospital-a --yes",
    },
}

for panel, commands in COMMANDS.items():
    for command, example in commands.items():
        lines = (f"Example: symfed {line}" for line in example.splitlines())
        app.command(rich_help_panel=panel, epilog="\n\n".join(lines))(command)
