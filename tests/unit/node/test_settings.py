"""What a node says when it was told something that cannot be."""

from pathlib import Path

import pytest

from symfed_node.errors import ConfigurationError
from symfed_node.settings import NodeSettings


def test_every_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYMFED_POLL_SECONDS", "often")
    monkeypatch.setenv("SYMFED_MAX_BODY_BYTES", "much")
    with pytest.raises(ConfigurationError, match=r"poll_seconds: .*; max_body_bytes: "):
        NodeSettings.read()


@pytest.mark.parametrize(
    ("listen", "expected"),
    [("10.0.0.1:8080", ("10.0.0.1", 8080)), ("[::]:80", ("::", 80)), ("localhost:1", ("localhost", 1))],
)
def test_addresses(listen: str, expected: tuple[str, int]) -> None:
    assert NodeSettings(listen=listen).host_and_port == expected


@pytest.mark.parametrize("listen", ["8080", "host:", "host:http"])
def test_bad_addresses(listen: str) -> None:
    with pytest.raises(ConfigurationError, match="it must be host:port"):
        _ = NodeSettings(listen=listen).host_and_port


def test_bad_files_are_named_and_tell_no_secret(tmp_path: Path) -> None:
    config, token = tmp_path / "node.json", tmp_path / "token"
    settings = NodeSettings(node_config=config, node_token=token)
    with pytest.raises(
        ConfigurationError, match=r"node\.json: No such file or directory; the operator writes it"
    ):
        settings.read_config()
    config.write_text('{"customer": "c1", "secrets": {"identity_seed": 12345}}')
    with pytest.raises(ConfigurationError, match="project: Field required") as raised:
        settings.read_config()
    assert "12345" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="SYMFED_NODE_TOKEN"):
        settings.read_token()
    token.write_text(" \n")
    with pytest.raises(ConfigurationError, match="is empty"):
        settings.read_token()
    token.write_text("abc\n")
    assert settings.read_token() == "abc"
