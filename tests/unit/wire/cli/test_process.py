"""The console script as a process: Ctrl-C, a closed pipe, completion, colours."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.unit.wire.cli.stub import KEY

from symfed_wire.bodies import seal_body
from symfed_wire.envelope import envelope

SCRIPT = str(Path(sys.executable).parent / "symfed")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing but what a command needs."""
    home = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "TERM": "xterm", "COLUMNS": "80"}
    return home | {"SYMFED_URL": "http://127.0.0.1:1", "SYMFED_CUSTOMER": "c1", "SYMFED_SECRET_KEY": KEY}


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port that accepts a connection when the test says so."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(60)
        yield server


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A run in a shell's background ignores SIGINT, and so would what it starts."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def started(arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [SCRIPT, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def seen_failing(arguments: list[str], environment: dict[str, str]) -> str:
    """What a terminal gets from a command that ends with 1."""
    main, side = pty.openpty()
    done = subprocess.run(
        [SCRIPT, *arguments], env=environment, stdout=side, stderr=side, timeout=60, check=False
    )
    os.close(side)
    seen = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.returncode == 1
    return seen


def answered(server: socket.socket, content: bytes, status: int = 200) -> None:
    """Take one request and answer it."""
    connection, _ = server.accept()
    with connection:
        connection.recv(1 << 16)
        head = f"HTTP/1.1 {status} .\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode() + content)


def test_ctrl_c_ends_with_one_line(environment: dict[str, str], listener: socket.socket) -> None:
    environment["SYMFED_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with started(["projects"], environment) as process:
        connection, _ = listener.accept()  # the command waits for its answer now
        with connection:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "interrupted\n")


def test_ctrl_c_waits_for_none_of_many_answers(environment: dict[str, str], listener: socket.socket) -> None:
    environment["SYMFED_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with started(["status"], environment) as process:
        names = envelope(200, values={"stringList": {"values": ["a", "b"]}}).to_json()
        answered(listener, names)
        connection, _ = listener.accept()  # one of the projects is asked, and nobody answers
        with connection:
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")


def test_a_closed_pipe_is_quiet(environment: dict[str, str], listener: socket.socket) -> None:
    environment["SYMFED_URL"] = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with started(["projects"], environment) as process:
        assert process.stdout
        process.stdout.close()
        process.stdout = None
        names = [f"project-{number}" for number in range(10_000)]
        answered(listener, envelope(200, values={"stringList": {"values": [*names]}}).to_json())
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_a_short_terminal_that_watches_shows_what_is_not_well(
    environment: dict[str, str], listener: socket.socket
) -> None:
    environment |= {"SYMFED_URL": f"http://127.0.0.1:{listener.getsockname()[1]}", "LINES": "4"}
    info = {"fed_name": "study", "sync_sched": "m30", "is_pulsing": True, "peersInfo": {}, "local_uuid": "u"}
    main, side = pty.openpty()
    with subprocess.Popen([SCRIPT, "status", "-w"], env=environment, stdout=side, stderr=side) as process:
        answered(listener, envelope(200, values={"stringList": {"values": ["a"]}}).to_json())
        sealed = seal_body(json.dumps(info), KEY)
        answered(listener, envelope(200, values={"fedInfoEncrypted": sealed}).to_json())
        answered(listener, envelope(503, "Project a is not ready: its pod starts").to_json(), 503)
        listener.close()  # whatever is drawn, the next look ends the loop
        seen = ""
        while "every m30" not in seen or seen.count("\n") < 3:
            seen += os.read(main, 1 << 16).decode()
        process.send_signal(signal.SIGINT)
    os.close(side)
    os.close(main)
    assert "a is not ready: its pod starts" in seen


def test_completion_knows_the_commands(environment: dict[str, str]) -> None:
    words = {"_SYMFED_COMPLETE": "complete_bash", "COMP_WORDS": "symfed pr", "COMP_CWORD": "1"}
    done = subprocess.run(
        [SCRIPT], env=environment | words, capture_output=True, text=True, timeout=60, check=True
    )
    assert sorted(done.stdout.split()) == ["predict", "profiles", "projects"]


def test_completion_script_is_shown(environment: dict[str, str]) -> None:
    command = [SCRIPT, "--show-completion", "bash"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert "complete -o default -F _symfed_completion symfed" in done.stdout


@pytest.mark.parametrize(("extra", "is_coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_and_can_be_switched_off(
    environment: dict[str, str], extra: dict[str, str], is_coloured: bool
) -> None:
    seen = seen_failing(["--url", "no-address", "projects"], environment | extra)
    assert "is no address of a gateway" in seen
    assert ("\x1b[1;31m" in seen) == is_coloured


def test_an_error_comes_after_the_bar_is_gone(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("a\nx\n")
    shown, _, error = seen_failing(["learn", "p", str(file)], environment).partition("error:")
    assert "━" in shown
    assert shown.endswith("\x1b[1A\x1b[2K\x1b[1;31m")  # up, the bar's line wiped, red
    assert "━" not in error
