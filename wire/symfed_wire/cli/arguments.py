"""Arguments and options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

ProjectArgument = Annotated[str, typer.Argument(help="Project id.")]
ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="Id of the model.")]
LocalOption = Annotated[bool, typer.Option("--local", help="Only this peer's own rows.")]
PeerOption = Annotated[
    str | None,
    typer.Option(
        "--peer", metavar="PEER", help="Only the rows of this peer, by name or uuid; it must allow it."
    ),
]
