"""With what one comes to a backend that a customer chose: typed, and without a secret in any `repr`."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class AwsKeys:
    """An access key; `session_token` comes with temporary ones."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class AwsAccess:
    """A customer's side on AWS, and one of two ways to it.

    `keys` are from a Secret; `role_arn` is assumed with `external_id`, the uid of the customer's namespace,
    so that nobody else's word makes the operator use it. `endpoint_url` takes the place of all of AWS's own.
    `namespace` is the customer's.
    """

    region: str
    bucket: str
    account_id: str | None = None
    endpoint_url: str | None = None
    keys: AwsKeys | None = None
    role_arn: str | None = None
    external_id: str = ""
    namespace: str = ""
