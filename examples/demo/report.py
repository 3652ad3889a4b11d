"""What the demo shows: the models side by side, and whether they are what they must be."""

from collections.abc import Mapping

from examples.demo import data, flow
from examples.demo.proof import TOLERANCE, Proof
from rich import box
from rich.table import Table

from symfed_wire.client.results import ModelInfo


def comparison(
    title: str,
    federated: Mapping[str, ModelInfo],
    reference: tuple[data.Coefficient, ...],
    local: Mapping[str, ModelInfo] | None = None,
) -> Table:
    """Coefficient × peer: the federated models, their standard errors, and each peer's own model."""
    table = Table(title=title, box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("coefficient", no_wrap=True)
    for peer in federated:
        table.add_column(peer, justify="right", no_wrap=True)
    table.add_column("pooled rows", justify="right", no_wrap=True)
    table.add_row("[bold]federated model[/bold]")
    for i, expected in enumerate(reference):
        cells = [f"{model.coefficients[i].coefficient:.9f}" for model in federated.values()]
        table.add_row(f"  {expected.name}", *cells, f"{expected.value:.9f}")
    table.add_row("[bold]standard errors[/bold]")
    for i, expected in enumerate(reference):
        cells = [f"{model.coefficients[i].std_error:.9f}" for model in federated.values()]
        table.add_row(f"  {expected.name}", *cells, f"{expected.standard_error:.9f}")
    if local is not None:
        table.add_row("[bold]own rows only[/bold]")
        for i, expected in enumerate(reference):
            cells = [f"{model.coefficients[i].coefficient:.4f}" for model in local.values()]
            table.add_row(f"  {expected.name}", *cells, style="dim")
    return table


def verdict(peers: str, proof: Proof) -> str:
    """One proof in words. `peers` says whose models they are."""
    equal = "[green]equal as bytes[/green]" if proof.are_bytes_equal else "[red]NOT equal as bytes[/red]"
    return (
        f"{peers}: coefficients and standard errors are {equal}. Largest relative difference from the pooled "
        f"model, which statsmodels fitted: {proof.largest_difference:.1e} (allowed: {TOLERANCE:.0e})."
    )


def removed_peer(model: ModelInfo, joined: str) -> str:
    """What is left to the removed peer. `joined` is its condition in words."""
    return f"{flow.REVOKED} is told ({joined}) and keeps its own {model.rows} rows and their model."
