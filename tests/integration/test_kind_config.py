"""kind-config.yaml is held against kind's own loader and validation, without Docker."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster.gobuild import find_go
from tests.cluster.kind import CONFIG

KIND = "sigs.k8s.io/kind@v0.33.0"
# kind keeps its loader to itself: only a program below its own pkg/ may import it
PROGRAM = """\
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/kind/pkg/internal/apis/config/encoding"
)

func main() {
	cluster, err := encoding.Load(os.Args[1])
	if err == nil {
		err = cluster.Validate()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(cluster.Name)
}
"""


@pytest.fixture(scope="module")
def checker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that loads and validates a configuration as kind does."""
    go = find_go()
    if go is None:
        pytest.skip("no Go toolchain to build kind's loader with")
    place = tmp_path_factory.mktemp("kind")
    environment = os.environ | {"GOFLAGS": "-modcacherw", "GOWORK": "off"}
    asked: list[str | Path] = [go, "mod", "download", "-json", KIND]
    module = json.loads(subprocess.check_output(asked, cwd=place, env=environment))
    sources = place / "module"
    shutil.copytree(module["Dir"], sources)
    subprocess.run(["chmod", "-R", "u+w", sources], check=True)  # the module cache is read-only
    main = sources / "pkg" / "check-config" / "main.go"
    main.parent.mkdir()
    main.write_text(PROGRAM)
    built = place / "check-config"
    subprocess.run([go, "build", "-o", built, "./pkg/check-config"], cwd=sources, env=environment, check=True)
    return built


def check(checker: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """What kind says of a configuration."""
    return subprocess.run([checker, config], capture_output=True, text=True, check=False)


def test_kind_accepts_the_configuration(checker: Path) -> None:
    answer = check(checker, CONFIG)
    assert (answer.returncode, answer.stdout.strip(), answer.stderr) == (0, "symfed", "")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("role: control-plane", "role: leader"), ("podSubnet:", "podSubNet:"), ("10.96.0.0/16", "10.96.0.0")],
)
def test_a_mistake_would_be_found(checker: Path, tmp_path: Path, right: str, wrong: str) -> None:
    text = CONFIG.read_text()
    assert right in text
    changed = tmp_path / "kind-config.yaml"
    changed.write_text(text.replace(right, wrong))
    assert check(checker, changed).returncode == 1
