"""The command profiles."""

from __future__ import annotations

import typer
from pydantic import JsonValue
from rich.table import Table

from symfed_wire.cli.config import DEFAULT_PROFILE, Config, Profile, config_path, read_config
from symfed_wire.cli.connection import connection_of
from symfed_wire.cli.output import Output, OutputOption, escape, new_table, note, show


def profiles(ctx: typer.Context, output: OutputOption = Output.TABLE) -> None:
    """List the profiles of ~/.config/symfed/config.toml, without their secrets; * is the one in use."""
    config = read_config(config_path())
    chosen = connection_of(ctx).profile or DEFAULT_PROFILE
    data: list[JsonValue] = [
        {
            "name": name,
            "url": profile.url,
            "customer": profile.customer,
            "secret_key": _where_key_is(profile),
            "chosen": name == chosen,
        }
        for name, profile in config.profiles.items()
    ]
    show(output, data, lambda: _profiles_table(config, chosen))
    if not config.profiles:
        note(f"there are no profiles in {config.path}")


def _profiles_table(config: Config, chosen: str) -> Table:
    table = new_table("", "profile", "url", "customer", "secret key")
    for name, profile in config.profiles.items():
        texts = (name, profile.url or "", profile.customer or "", _where_key_is(profile))
        table.add_row("*" if name == chosen else "", *(escape(text) for text in texts))
    return table


def _where_key_is(profile: Profile) -> str:
    return profile.secret_key_file or ("here" if profile.secret_key else "")
