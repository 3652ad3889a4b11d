"""What the local cluster has on the machine, and must take away."""

from pathlib import Path

from tests.cluster.local import mounts_below

MOUNTINFO = """\
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 254:0 /c/overlay /c/store/overlay rw - ext4 /dev/vda rw
31 22 0:40 / /c/store/overlay/a\\040b/merged rw - overlay overlay rw
32 22 0:41 / /c/store-of-others/overlay rw - overlay overlay rw
33 22 0:42 / /var/lib/cluster/pods/x rw - tmpfs tmpfs rw
"""


def test_mounts_of_a_build_that_was_interrupted_are_the_clusters_too() -> None:
    folders = (Path("/c/store"), Path("/var/lib/cluster"))
    assert mounts_below(folders, MOUNTINFO) == [
        "/c/store/overlay",
        "/c/store/overlay/a b/merged",
        "/var/lib/cluster/pods/x",
    ]
