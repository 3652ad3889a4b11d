"""`make demo`: run the flow on the cluster of `make up`, and show that its models are exact."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from examples.demo import data, flow, report
from examples.demo.flow import Surroundings
from examples.demo.proof import Proof, prove
from examples.demo.surroundings import read_surroundings
from rich.console import Console
from tests.cluster.console import ClusterError, eventually
from tests.cluster.gobuild import program
from tests.cluster.kubectl import kubectl

from symfed_wire.errors import SymfedError
from symfed_wire.names import remote_name

ADMINS_NAMESPACE, MEMBERS_NAMESPACE = "customer-1", "customer-2"  # of the two customers that `make up` makes
MODEL = f"{data.TARGET} ~ {' + '.join(data.INPUTS)}"

console = Console(highlight=False)


def main() -> int:
    """Exit code 0 only if every peer has the pooled model, as the same bytes, before and after a removal."""
    started = time.monotonic()
    try:
        surroundings = read_surroundings()
        flow.remove_earlier(surroundings, _step)
        holds = _exchange(surroundings).holds and _revoke(surroundings).holds
    except FileNotFoundError as error:
        console.print(f"failed: {error}", style="red", markup=False)
        return 1
    except KeyboardInterrupt:
        console.print("interrupted; `make demo` begins anew")
        return 130
    except (SymfedError, flow.ExchangeError, ClusterError) as error:
        console.print(f"failed: {error}", style="red", markup=False, soft_wrap=True)
        _explain()
        return 1
    seconds = time.monotonic() - started
    verdict = "[green]Every peer has" if holds else "[red]Not every peer has"
    console.print(f"{verdict} the model of the pooled rows[/]; {seconds:.0f} s.")
    if not holds:
        _explain()
    return 0 if holds else 1


def _exchange(surroundings: Surroundings) -> Proof:
    """Three peers, one model."""
    outcome = flow.run(surroundings, _step)
    _show("get", "federations,federationpeers,pods", "--all-namespaces")
    reference = data.pooled_reference()
    proof = prove(outcome.federated, reference)
    console.print(report.comparison(MODEL, outcome.federated, reference, outcome.local))
    console.print(report.verdict("All three peers", proof), soft_wrap=True)
    return proof


def _revoke(surroundings: Surroundings) -> Proof:
    """One peer is removed; the model of the others is that of their rows alone."""
    outcome = flow.revoke(surroundings, _delete_member, _step)
    with _step(f"{flow.REVOKED} is told"):
        joined = _wait_removed(flow.REVOKED)
    reference = data.pooled_reference(flow.STAYING)
    proof = prove(outcome.federated, reference)
    title = f"{data.TARGET} without {flow.REVOKED}"
    console.print(report.comparison(title, outcome.federated, reference))
    console.print(report.verdict(" and ".join(flow.STAYING), proof), soft_wrap=True)
    console.print(report.removed_peer(outcome.local[flow.REVOKED], joined), soft_wrap=True)
    return proof


def _delete_member(uuid: str) -> None:
    """What an admin does to remove a member: there is no REST call for it."""
    kubectl("delete", "federationpeer", remote_name(uuid), f"--namespace={ADMINS_NAMESPACE}")


def _wait_removed(peer: str) -> str:
    """The peer's condition `Joined` once it says that the peer was removed."""
    joined = '{.status.conditions[?(@.type=="Joined")]'
    words = f"--output=jsonpath=Joined={joined}.status}} {joined}.reason}}"
    wanted = "Joined=False Removed"

    def look() -> str | None:
        seen = kubectl("get", "federationpeer", peer, f"--namespace={MEMBERS_NAMESPACE}", words)
        return None if seen == wanted else seen

    eventually(f"{peer} is told that it was removed", flow.EXCHANGE_SECONDS, look)
    return wanted


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


def _explain() -> None:
    """What runs, the conditions, and the log lines that tell why."""
    _show("get", "federations,federationpeers,deployments,pods", "--all-namespaces")
    for kind in ("federations", "federationpeers"):
        console.rule(f"conditions of {kind}", align="left")
        each = "{range .status.conditions[*]}{.type}={.status} {.reason} {.message}{'; '}{end}"
        line = "{.metadata.namespace}/{.metadata.name}: " + each + "{'\\n'}"
        _show("get", kind, "--all-namespaces", f"--output=jsonpath={{range .items[*]}}{line}{{end}}")
    selectors = {"symfed-system": "app.kubernetes.io/name in (symfed-operator, symfed-gateway)"}
    selectors |= dict.fromkeys(
        (ADMINS_NAMESPACE, MEMBERS_NAMESPACE), "app.kubernetes.io/managed-by=symfed-operator"
    )
    for namespace, selector in selectors.items():
        console.rule(f"the last log lines of {namespace}", align="left")
        _show("logs", "--prefix", "--tail=15", f"--selector={selector}", f"--namespace={namespace}")


def _show(*arguments: str) -> None:
    """What kubectl says, as it says it."""
    sys.stdout.flush()
    subprocess.run([program("kubectl"), *arguments], check=False)


if __name__ == "__main__":
    sys.exit(main())
