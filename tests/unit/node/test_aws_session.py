"""Credentials of a mounted Secret, as the kubelet lays and replaces them; and none at all."""

from pathlib import Path

import pytest
from botocore.credentials import Credentials, InstanceMetadataProvider
from botocore.exceptions import ClientError, CredentialRetrievalError, NoCredentialsError

from symfed_node.exchange.aws_faults import AwsError, in_words
from symfed_node.exchange.aws_session import AwsSession, FolderCredentials
from symfed_wire.aws_errors import AwsReason


def lay(folder: Path, version: str, keys: dict[str, str]) -> None:
    """As the kubelet does: the files are links through `..data`, which is replaced at once."""
    (folder / version).mkdir(parents=True)
    for name, text in keys.items():
        (folder / version / name).write_text(text)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    new = folder / "..new"
    new.symlink_to(version)
    new.rename(folder / "..data")


def test_a_replaced_secret_is_read_as_a_whole(tmp_path: Path) -> None:
    credentials = FolderCredentials(tmp_path)
    lay(tmp_path, "..1", {"accessKeyId": "one\n", "secretAccessKey": "first"})
    assert credentials.get_frozen_credentials()[:3] == ("one", "first", None)
    lay(tmp_path, "..2", {"accessKeyId": "two", "secretAccessKey": "second", "sessionToken": "token\n"})
    assert credentials.get_frozen_credentials()[:3] == ("two", "second", "token")
    lay(tmp_path, "..3", {"accessKeyId": "three", "secretAccessKey": "third"})
    assert credentials.get_frozen_credentials()[:3] == ("three", "third", None)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"accessKeyId": "s3cret"}, "secretAccessKey: No such file or directory"),
        ({"accessKeyId": " \n", "secretAccessKey": "s3cret"}, "accessKeyId is empty"),
    ],
)
def test_what_is_missing_is_named_and_nothing_else(tmp_path: Path, keys: dict[str, str], words: str) -> None:
    for name, text in keys.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(CredentialRetrievalError, match=words) as raised:
        FolderCredentials(tmp_path).get_frozen_credentials()
    assert "s3cret" not in str(raised.value)


def test_a_key_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "accessKeyId").write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialRetrievalError, match="accessKeyId: it is no text"):
        FolderCredentials(tmp_path).get_frozen_credentials()


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that has no credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


def test_the_role_of_the_machine_is_not_asked_for(bare: pytest.MonkeyPatch) -> None:
    def load(_provider: InstanceMetadataProvider) -> Credentials:
        return Credentials("the machine's", "key")

    bare.setattr(InstanceMetadataProvider, "load", load)
    with pytest.raises(NoCredentialsError):
        AwsSession(None, "http://127.0.0.1:1").s3("eu-central-1", 1)


def test_a_role_that_comes_late_is_found(bare: pytest.MonkeyPatch) -> None:
    """Without a folder boto3 looks; what it does not find the first time it may find the next."""
    session = AwsSession(None, "http://127.0.0.1:1")
    with pytest.raises(NoCredentialsError):
        session.sqs("eu-central-1", 1)
    bare.setenv("AWS_ACCESS_KEY_ID", "late")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "key")
    assert session.sqs("eu-central-1", 1) is session.sqs("eu-central-1", 1)


def test_a_role_that_may_not_be_assumed_is_named() -> None:
    answer = ClientError(
        {
            "Error": {
                "Code": "AccessDenied",
                "Message": "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            }
        },
        "AssumeRoleWithWebIdentity",
    )
    with pytest.raises(AwsError) as raised, in_words("s3", "GetObject", "arn:aws:s3:::bucket"):
        raise answer
    assert raised.value.reason == AwsReason.ACCESS_DENIED
    assert str(raised.value).startswith(
        "sts:AssumeRoleWithWebIdentity is not allowed on the role of the node's ServiceAccount"
    )
