"""`symfed`: the command line of the REST API."""

from symfed_wire import cli_federations, cli_projects
from symfed_wire.cli_app import app

__all__ = ["app", "cli_federations", "cli_projects", "main"]


def main() -> None:
    """Entry point of the console script."""
    app()
