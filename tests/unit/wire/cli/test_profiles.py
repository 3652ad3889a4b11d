"""The file with profiles: who wins, what is refused, and that no secret is told."""

import json
import os
from pathlib import Path

import pytest
from tests.unit.wire.cli.stub import KEY, Gateway, error_of, printed, run

from symfed_wire.cli.config import config_path

OTHER_KEY = "AAAAAAAAAAAAAAAAAAAAAA=="


@pytest.fixture
def file(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of the file, in a folder that is there; nothing in the environment."""
    for name in ("URL", "CUSTOMER", "SECRET_KEY"):
        monkeypatch.delenv(f"SYMFED_{name}")
    gateway.on("GET /projects/list", values={"stringList": {"values": ["p"]}})
    path = config_path()
    path.parent.mkdir(parents=True)
    return path


def write(file: Path, text: str, mode: int = 0o600) -> None:
    file.write_text(text)
    file.chmod(mode)


def profile(name: str = "default", customer: str = "c1", key: str = KEY) -> str:
    return f'[profile.{name}]\nurl = "http://{name}:1"\ncustomer = "{customer}"\nsecret_key = "{key}"\n'


def test_the_default_profile_is_taken(gateway: Gateway, file: Path) -> None:
    write(file, profile())
    assert printed(run("projects")) == "p\n"
    assert gateway.requests[0].url.host == "default"


def test_a_profile_is_named_by_option_or_environment(
    gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, profile() + profile("two") + profile("three"))
    monkeypatch.setenv("SYMFED_PROFILE", "two")
    printed(run("projects"))
    printed(run("--profile", "three", "projects"))
    assert [request.url.host for request in gateway.requests] == ["two", "three"]


def test_the_environment_wins_over_the_file_and_options_over_both(
    gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, profile())
    monkeypatch.setenv("SYMFED_URL", "http://environment:1")
    assert printed(run("projects")) == "p\n"
    printed(run("--url", "http://option:1", "projects"))
    assert [request.url.host for request in gateway.requests] == ["environment", "option"]


def test_a_named_profile_that_the_environment_wins_over_is_told(
    gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, profile("two"))
    monkeypatch.setenv("SYMFED_URL", "http://environment:1")
    result = run("--profile", "two", "projects")
    assert result.stderr == "note: SYMFED_URL of the environment wins over profile two\n"


def test_a_file_that_is_not_needed_is_not_read(
    gateway: Gateway, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "broken", mode=0o644)
    for name, value in {"URL": "http://gw:1", "CUSTOMER": "c1", "SECRET_KEY": KEY}.items():
        monkeypatch.setenv(f"SYMFED_{name}", value)
    assert printed(run("projects")) == "p\n"


def test_the_key_may_lie_in_a_file_of_its_own(gateway: Gateway, file: Path) -> None:
    write(file, '[profile.default]\nurl="http://gw:1"\ncustomer="c1"\nsecret_key_file="c1.key"\n', 0o644)
    key_file = file.parent / "c1.key"
    write(key_file, f"{KEY}\n")
    assert printed(run("projects")) == "p\n"
    key_file.chmod(0o640)
    assert error_of(run("projects")).endswith(f"(mode 0640): chmod 600 {key_file}")
    key_file.unlink()
    line = error_of(run("projects"))
    assert line == f"{file}, line 4: profile.default.secret_key_file: {key_file}: No such file or directory"
    key_file.write_bytes(b"\xff")
    key_file.chmod(0o600)
    assert "does not hold a key in base64" in error_of(run("projects"))


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_with_a_secret_that_others_can_read_is_refused(
    gateway: Gateway, file: Path, mode: int
) -> None:
    write(file, profile(), mode)
    line = error_of(run("projects"))
    assert line == f"{file} holds a secret and others may use it (mode {mode:04o}): chmod 600 {file}"
    assert gateway.requests == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[profile.default]\nurl = 5\n", ", line 2: profile.default.url: must be a text in quotes"),
        (
            '[profile.default]\n\nsecret = "sesame"\n',
            ", line 3: profile.default.secret: is no key of a profile; there are url, customer, secret_key, "
            "secret_key_file",
        ),
        (
            '[profile.a]\nurl = "x"\n[profile.b]\nsecret_key = "sesame"\nsecret_key_file = "f"\n',
            ", line 5: profile.b.secret_key_file: secret_key is there too; keep one",
        ),
        ('url = "http://gw"\n', ", line 1: url: write keys below a line [profile.default]"),
        ('profile = "sesame"\n', ", line 1: profile: write it as [profile.default]"),
        ('[profile]\ndefault = "sesame"\n', ": profile.default: write it as [profile.default]"),
        ("[profile.default]\nurl = sesame\n", "line 2"),
        ("[other]\n", ": other: write keys below a line [profile.default]"),
    ],
)
def test_a_fault_names_file_line_and_key_and_no_value(
    gateway: Gateway, file: Path, text: str, expected: str
) -> None:
    write(file, text)
    line = error_of(run("projects"))
    assert line.startswith(str(file))
    assert expected in line
    assert "sesame" not in line


def test_a_file_that_is_not_text_or_not_readable_is_told(gateway: Gateway, file: Path) -> None:
    file.write_bytes(b"\xff")
    assert error_of(run("projects")) == f"{file}: is not UTF-8"
    file.unlink()
    file.mkdir()
    assert error_of(run("projects")) == f"{file}: Is a directory"


def test_a_profile_that_is_not_there_is_told_with_those_that_are(gateway: Gateway, file: Path) -> None:
    write(file, profile() + profile("two"))
    line = error_of(run("--profile", "three", "projects"))
    assert line == f"there is no profile three in {file}; it has default, two"
    file.unlink()
    assert "it has no profiles" in error_of(run("--profile", "three", "projects"))


def test_what_a_profile_leaves_out_is_named(gateway: Gateway, file: Path) -> None:
    write(file, '[profile.default]\nurl = "http://gw:1"\n')
    line = error_of(run("projects"))
    assert line.startswith("not set: customer, secret key; set SYMFED_CUSTOMER, SYMFED_SECRET_KEY,")


def test_profiles_are_listed_without_secrets(gateway: Gateway, file: Path) -> None:
    write(file, profile() + '[profile.two]\nurl = "http://[two]:1"\nsecret_key_file = "two.key"\n')
    rows = [line.split() for line in printed(run("--profile", "two", "profiles")).splitlines()]
    assert ["default", "http://default:1", "c1", "here"] in rows
    assert ["*", "two", "http://[two]:1", "two.key"] in rows
    text = printed(run("profiles", "-o", "json"))
    assert KEY not in text
    assert json.loads(text)[0] == {
        "name": "default",
        "url": "http://default:1",
        "customer": "c1",
        "secret_key": "here",
        "chosen": True,
    }


def test_no_profiles_are_told_with_the_path(gateway: Gateway, file: Path) -> None:
    assert run("profiles").stderr == f"there are no profiles in {file}\n"


def test_the_file_lies_where_the_xdg_specification_says() -> None:
    assert config_path({"XDG_CONFIG_HOME": "/x"}) == Path("/x/symfed/config.toml")
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - not the way that is tested
    for environment in ({}, {"XDG_CONFIG_HOME": ""}, {"XDG_CONFIG_HOME": "relative"}):
        assert config_path(environment) == home / ".config/symfed/config.toml"
