"""`make demo`: run the flow on the cluster of `make up`, and show that its models are exact."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from examples.demo import data, flow
from examples.demo.proof import TOLERANCE, Proof, prove
from examples.demo.surroundings import read_surroundings
from rich.console import Console
from rich.table import Table
from tests.cluster.gobuild import program

from symfed_wire.client import Client
from symfed_wire.errors import SymfedError

console = Console(highlight=False)


def main() -> int:
    """Exit code 0 only if every peer has the pooled model, as the same bytes."""
    surroundings = read_surroundings()
    started = time.monotonic()
    try:
        _remove_earlier(surroundings)
        outcome = flow.run(surroundings, _step)
    except (SymfedError, flow.ExchangeError) as error:
        console.print(f"[red]failed:[/red] {error}", soft_wrap=True)
        _explain()
        return 1
    _kubectl("get", "federations,federationpeers,pods", "--all-namespaces")
    reference = data.pooled_reference()
    proof = prove(outcome.federated, reference)
    console.print(_coefficients(outcome, reference))
    _print_verdict(proof, time.monotonic() - started)
    if not proof.holds:
        _explain()
    return 0 if proof.holds else 1


@contextmanager
def _step(text: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(text):
        try:
            yield
        except BaseException:
            console.print(f"[red]✗[/red] {text} ({time.monotonic() - started:.1f} s)")
            raise
    console.print(f"[green]✓[/green] {text} ({time.monotonic() - started:.1f} s)")


def _remove_earlier(surroundings: flow.Surroundings) -> None:
    """Projects of an earlier demo on the same cluster go first, members before the admin."""
    first, second = surroundings.customers
    for customer, projects in ((second, ("south", "west")), (first, (flow.ADMIN,))):
        with Client(surroundings.url, customer.name, customer.secret_key) as client:
            for project in set(client.projects()) & set(projects):
                with _step(f"removing {project} of an earlier run"):
                    flow.remove(client, project)


def _coefficients(outcome: flow.Outcome, reference: tuple[data.Coefficient, ...]) -> Table:
    table = Table(title=f"{data.TARGET} ~ {' + '.join(data.INPUTS)}")
    table.add_column("coefficient")
    for peer in outcome.federated:
        table.add_column(f"{peer}\nfederated", justify="right")
        table.add_column(f"{peer}\nown rows only", justify="right", style="dim")
    table.add_column("pooled rows\nstatsmodels", justify="right")
    for index, expected in enumerate(reference):
        cells = [
            f"{model.coefficients[index].coefficient:.12f}"
            if is_federated
            else f"{model.coefficients[index].coefficient:.4f}"
            for peer in outcome.federated
            for model, is_federated in ((outcome.federated[peer], True), (outcome.local[peer], False))
        ]
        table.add_row(expected.name, *cells, f"{expected.value:.12f}")
    return table


def _print_verdict(proof: Proof, seconds: float) -> None:
    equal = "equal as bytes" if proof.are_bytes_equal else "[red]NOT equal as bytes[/red]"
    console.print(
        f"Coefficients and standard errors of all peers: {equal}; largest relative difference from the "
        f"pooled rows {proof.largest_difference:.1e} (at most {TOLERANCE:.0e}). {seconds:.0f} s."
    )


def _explain() -> None:
    """The conditions and log lines that tell why."""
    _kubectl("get", "federations,federationpeers,pods", "--all-namespaces", "--output=wide")
    for kind in ("federations", "federationpeers"):
        _kubectl(
            "get",
            kind,
            "--all-namespaces",
            "--output=jsonpath={range .items[*]}{.metadata.name}{': '}"
            "{range .status.conditions[*]}{.type}={.status} {.reason} {.message}{'; '}{end}{'\\n'}{end}",
        )
    for label in ("app.kubernetes.io/part-of=symfed", "app.kubernetes.io/managed-by=symfed-operator"):
        _kubectl(
            "logs", "--all-containers", "--prefix", "--tail=25", f"--selector={label}", "-n", "symfed-system"
        )


def _kubectl(*arguments: str) -> None:
    subprocess.run([program("kubectl"), *arguments], check=False)


if __name__ == "__main__":
    sys.exit(main())
