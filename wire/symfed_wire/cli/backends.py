"""The options that say where a federation exchanges, and the keys of a map that they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from pydantic import JsonValue

from symfed_wire.cli.errors import UsageError

_NATS, _AWS = "Somebody else's NATS", "AWS"

NatsOption = Annotated[
    str | None, typer.Option(envvar="SYMFED_NATS", help="NATS addresses, comma separated.")
]
NatsUserOption = Annotated[
    str | None, typer.Option(envvar="SYMFED_NATS_USER", help="User.", rich_help_panel=_NATS)
]
NatsPasswordOption = Annotated[
    str | None,
    typer.Option(
        envvar="SYMFED_NATS_PASSWORD",
        help="Its password. Others see options: better set the environment, here and below.",
        rich_help_panel=_NATS,
    ),
]
NatsTokenOption = Annotated[
    str | None, typer.Option(envvar="SYMFED_NATS_TOKEN", help="Or a token.", rich_help_panel=_NATS)
]
NatsSeedOption = Annotated[
    str | None, typer.Option(envvar="SYMFED_NATS_SEED", help="Or a user's NKEY seed.", rich_help_panel=_NATS)
]
NatsCaOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Certificates in PEM that a tls:// server is checked with.",
        rich_help_panel=_NATS,
    ),
]
BucketOption = Annotated[
    str | None,
    typer.Option(help="Bucket that this peer writes into: the peer is on AWS.", rich_help_panel=_AWS),
]
RegionOption = Annotated[
    str | None,
    typer.Option(
        envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], help="The bucket's region.", rich_help_panel=_AWS
    ),
]
AccountOption = Annotated[
    str | None, typer.Option(help="Account id of 12 digits; to join it is needed.", rich_help_panel=_AWS)
]
AccessKeyOption = Annotated[
    str | None, typer.Option(envvar="AWS_ACCESS_KEY_ID", help="Access key id.", rich_help_panel=_AWS)
]
SecretKeyOption = Annotated[
    str | None,
    typer.Option(
        envvar="AWS_SECRET_ACCESS_KEY",
        help="Its secret key. Others see options: better set the environment.",
        rich_help_panel=_AWS,
    ),
]
SessionTokenOption = Annotated[
    str | None,
    typer.Option(envvar="AWS_SESSION_TOKEN", help="Session token of temporary keys.", rich_help_panel=_AWS),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="A private endpoint in place of AWS's own.", rich_help_panel=_AWS),
]


@dataclass(frozen=True)
class AwsKeyOptions:
    """The options of AWS keys; a session token comes with temporary ones."""

    access_key: str | None
    secret_key: str | None = field(repr=False)
    session_token: str | None = field(repr=False)

    @property
    def missing(self) -> list[str]:
        """The options that are needed and not there, with the variables that do as well."""
        needed = {
            "--aws-access-key (AWS_ACCESS_KEY_ID)": self.access_key,
            "--aws-secret-key (AWS_SECRET_ACCESS_KEY)": self.secret_key,
        }
        return [option for option, value in needed.items() if not value]


@dataclass(frozen=True)
class AwsOptions:
    """The options of a peer's own side on AWS."""

    bucket: str | None
    region: str | None
    account: str | None
    endpoint: str | None
    keys: AwsKeyOptions

    def settings(self, *, needs_account: bool) -> dict[str, JsonValue]:
        """The keys of a map. Raises UsageError that names all that is missing."""
        needed = {"--bucket": self.bucket, "--aws-region (AWS_REGION)": self.region}
        if needs_account:
            needed["--aws-account"] = self.account
        missing = [*(option for option, value in needed.items() if not value), *self.keys.missing]
        if missing:
            raise UsageError(f"a peer on AWS needs {', '.join(missing)}")
        return present(
            {
                "s3_bucket": self.bucket,
                "aws_region": self.region,
                "aws_id": self.account,
                "aws_access_key": self.keys.access_key,
                "aws_secret_key": self.keys.secret_key,
                "aws_session_token": self.keys.session_token,
                "aws_endpoint_url": self.endpoint,
            }
        )


@dataclass(frozen=True)
class NatsLoginOptions:
    """The options of a login to somebody else's NATS; `ca` is a file."""

    user: str | None
    password: str | None = field(repr=False)
    token: str | None = field(repr=False)
    seed: str | None = field(repr=False)
    ca: Path | None

    def settings(self) -> dict[str, JsonValue]:
        """The keys of a map. Raises OSError for a file that cannot be read."""
        return present(
            {
                "nats_sec_user": self.user,
                "nats_sec_passwd": self.password,
                "nats_sec_token": self.token,
                "nats_sec_nkey_seed": self.seed,
                "nats_tls_ca": self.ca.read_text("ascii", "replace") if self.ca else None,
            }
        )


def present(texts: Mapping[str, str | None]) -> dict[str, JsonValue]:
    """The keys that have a value."""
    return {key: text for key, text in texts.items() if text}
