"""`make demo`: run the flow on the cluster of `make up`, and show that its models are exact."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from examples.demo import data, flow
from examples.demo.proof import TOLERANCE, Proof, prove
from examples.demo.surroundings import read_surroundings
from rich import box
from rich.console import Console
from rich.table import Table
from tests.cluster.gobuild import program

from symfed_wire.client import Client
from symfed_wire.errors import SymfedError

CUSTOMER_NAMESPACES = ("customer-1", "customer-2")  # of the two customers that `make up` makes

console = Console(highlight=False)


def main() -> int:
    """Exit code 0 only if every peer has the pooled model, as the same bytes."""
    started = time.monotonic()
    try:
        surroundings = read_surroundings()
        _remove_earlier(surroundings)
        outcome = flow.run(surroundings, _step)
    except FileNotFoundError as error:
        console.print(f"failed: {error}", style="red", markup=False)
        return 1
    except (SymfedError, flow.ExchangeError) as error:
        console.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
        _explain()
        return 1
    _kubectl("get", "federations,federationpeers,pods", "--all-namespaces")
    reference = data.pooled_reference()
    proof = prove(outcome.federated, reference)
    console.print(_comparison(outcome, reference))
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


def _comparison(outcome: flow.Outcome, reference: tuple[data.Coefficient, ...]) -> Table:
    """Coefficient × peer: the federated models, their standard errors, and each peer's own model."""
    table = Table(title=f"{data.TARGET} ~ {' + '.join(data.INPUTS)}", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("coefficient", no_wrap=True)
    for peer in outcome.federated:
        table.add_column(peer, justify="right", no_wrap=True)
    table.add_column("pooled rows", justify="right", no_wrap=True)
    federated, local = outcome.federated.values(), outcome.local.values()
    table.add_row("[bold]federated model[/bold]")
    for i, expected in enumerate(reference):
        cells = [f"{model.coefficients[i].coefficient:.9f}" for model in federated]
        table.add_row(f"  {expected.name}", *cells, f"{expected.value:.9f}")
    table.add_row("[bold]standard errors[/bold]")
    for i, expected in enumerate(reference):
        cells = [f"{model.coefficients[i].std_error:.9f}" for model in federated]
        table.add_row(f"  {expected.name}", *cells, f"{expected.standard_error:.9f}")
    table.add_row("[bold]own rows only[/bold]")
    for i, expected in enumerate(reference):
        cells = [f"{model.coefficients[i].coefficient:.4f}" for model in local]
        table.add_row(f"  {expected.name}", *cells, style="dim")
    return table


def _print_verdict(proof: Proof, seconds: float) -> None:
    equal = "[green]equal as bytes[/green]" if proof.are_bytes_equal else "[red]NOT equal as bytes[/red]"
    console.print(f"All peers' coefficients and standard errors are {equal}.")
    console.print(
        "Largest relative difference from the pooled model, which statsmodels fitted: "
        f"{proof.largest_difference:.1e} (allowed: {TOLERANCE:.0e}).",
        soft_wrap=True,
    )
    console.print(
        f"{'[green]The line holds' if proof.holds else '[red]It does not hold'}[/]; {seconds:.0f} s."
    )


def _explain() -> None:
    """What runs, the conditions, and the log lines that tell why."""
    _kubectl("get", "federations,federationpeers,deployments,pods", "--all-namespaces")
    for kind in ("federations", "federationpeers"):
        console.rule(f"conditions of {kind}", align="left")
        each = "{range .status.conditions[*]}{.type}={.status} {.reason} {.message}{'; '}{end}"
        line = "{.metadata.namespace}/{.metadata.name}: " + each + "{'\\n'}"
        _kubectl("get", kind, "--all-namespaces", f"--output=jsonpath={{range .items[*]}}{line}{{end}}")
    selectors = {"symfed-system": "app.kubernetes.io/name in (symfed-operator, symfed-gateway)"}
    selectors |= dict.fromkeys(CUSTOMER_NAMESPACES, "app.kubernetes.io/managed-by=symfed-operator")
    for namespace, selector in selectors.items():
        console.rule(f"the last log lines of {namespace}", align="left")
        _kubectl("logs", "--prefix", "--tail=15", f"--selector={selector}", f"--namespace={namespace}")


def _kubectl(*arguments: str) -> None:
    sys.stdout.flush()
    subprocess.run([program("kubectl"), *arguments], check=False)


if __name__ == "__main__":
    sys.exit(main())
