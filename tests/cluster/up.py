"""`make up`: the cluster, the images, the chart and two customers; and `.symfed/env` to use them by.

Running it again repairs what is broken and brings changed sources into the cluster.
"""

import argparse
import subprocess
import sys

from tests.cluster import deploy, gobuild, images, kind, local, machine
from tests.cluster.console import ClusterError, say, step
from tests.cluster.images import PARTS, Image
from tests.cluster.layout import NODE_ADDRESS


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--without-chart", action="store_true", help="stop at an empty cluster with the images"
    )
    arguments = parser.parse_args()
    try:
        with machine.one_at_a_time():
            up(with_chart=not arguments.without_chart)
    except (ClusterError, gobuild.ProgramMissingError, subprocess.CalledProcessError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "make up: interrupted; repeat it to go on, or `make down` removes what is there", file=sys.stderr
        )
        return 130
    return 0


def up(with_chart: bool) -> None:
    """Brings everything up.

    Raises ClusterError that says what does not come, and what was seen.
    """
    here = machine.cluster_kind()
    if here == "kind":
        gobuild.build(["kubectl", "helm"])
        kind.up()
        ready = kind_images()
        address = kind.address()
    else:
        with step("programs"):
            gobuild.build()
        local.up()
        ready = images.ensure_all()
        local.wait_ready()
        address = NODE_ADDRESS
    if not with_chart:
        return
    deploy.install(ready, address)
    with step("customers"):
        customers = deploy.ensure_customers()
    deploy.wait_serving(address, customers)
    deploy.write_environment(address, customers)
    if here == "local":
        with step("older images"):
            images.forget_old(ready.values(), deploy.images_in_use())
    say(f"ready: the gateway answers at {deploy.gateway_url(address)}; `. .symfed/env` sets the rest")


def kind_images() -> dict[str, Image]:
    """Builds the parts' images with Docker and loads them; NATS comes from its makers."""
    ready = {
        part: images.build_with_docker(images.of_part(part), f"--build-arg=PART={part}") for part in PARTS
    }
    for image in ready.values():
        kind.load(image)
    return ready


if __name__ == "__main__":
    sys.exit(main())
