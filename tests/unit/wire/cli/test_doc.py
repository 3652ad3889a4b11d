"""README and docs/cli.md name every command, and every key of the JSON."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from symfed_wire.cli.commands import COMMANDS
from symfed_wire.cli.federation_state import FederationState, MemberState, OwnState
from symfed_wire.client.results import (
    AwsInfo,
    Coefficient,
    Density,
    FederationInfo,
    JobInfo,
    MergedStats,
    PeerStats,
    ProjectInfo,
    SyncStats,
)

ROOT = Path(__file__).parents[4]


def test_the_readme_names_every_command() -> None:
    section = (ROOT / "README.md").read_text().partition("## The CLI")[2].partition("\n## ")[0]
    table = re.findall(r"^\| (`.*`) \|", section, re.MULTILINE)
    named = {name for row in table for name in re.findall(r"`([a-z-]+)`", row)}
    assert named == {
        command.__name__.replace("_", "-") for commands in COMMANDS.values() for command in commands
    }


@pytest.mark.parametrize(
    ("row", "model"),
    [
        ("`projects --long`", ProjectInfo),
        ("`info`, its `federation`", FederationInfo),
        ("`status`", FederationState),
        ("`status`, its `members`", MemberState),
        ("`status`, its `projects`", OwnState),
        ("`sync --wait`", SyncStats),
        ("`sync --wait`, one of its `peers`", PeerStats),
        ("`sync --wait`, its `merged`", MergedStats),
        ("`model`, its `coefficients`", Coefficient),
        ("`density`", Density),
        ("`jobs`", JobInfo),
        ("`awsinfo`", AwsInfo),
    ],
)
def test_the_keys_of_the_json_are_documented(row: str, model: type[BaseModel]) -> None:
    lines = (ROOT / "docs/cli.md").read_text().splitlines()
    [documented] = [line.removeprefix(f"| {row} | ") for line in lines if line.startswith(f"| {row} | ")]
    named = re.findall(r"`([a-z0-9_]+)`", re.sub(r"\(.*?\)", "", documented))
    assert named == [*model.model_fields, *model.model_computed_fields]
