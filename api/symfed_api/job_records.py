"""A job of the gateway's own as the ConfigMap that records it: any replica reads how far it is."""

import base64
import json
import zlib
from datetime import datetime
from enum import Enum
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, JsonValue

from symfed_api.errors import JobFailedError
from symfed_api.manifests import MANAGED_BY, MANAGER
from symfed_wire.errors import UnsealError
from symfed_wire.kube import CONFIG_MAPS, JsonObject
from symfed_wire.names import JOB_LABEL, job_record
from symfed_wire.sealing import seal, unseal

_INFO: Final = "symfed/job/v1"
_LARGEST: Final = 900_000  # characters; a ConfigMap holds 1 MiB
MOST: Final = 16 * 1024 * 1024  # bytes of a result before it is compressed
_INTERRUPTED: Final = "The gateway that did this job has ended; send the request again"
_UNREADABLE: Final = "The result cannot be read; send the request again"
_OTHER_KEY: Final = "The result is encrypted under another secret key; send the request again"


class JobState(Enum):
    """Where a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class JobRecord(BaseModel):
    """The data of the ConfigMap; `result` is sealed for the customer, `failure` is why there is none."""

    model_config = ConfigDict(frozen=True)

    kind: str
    started: AwareDatetime
    deadline: AwareDatetime
    result: str = ""
    failure: str = ""

    def state(self, now: datetime) -> JobState:
        """Where the job stands; one past its deadline has failed, since nobody does it any more."""
        if self.result:
            return JobState.DONE
        return JobState.FAILED if self.failure or now >= self.deadline else JobState.RUNNING

    def info(self, number: int, owner: str, now: datetime) -> dict[str, JsonValue]:
        """`JobInfo` on the wire."""
        is_done = self.state(now) is not JobState.RUNNING
        return {
            "jobId": number,
            "jobType": self.kind,
            "owner": owner,
            "startingDate": int(self.started.timestamp() * 1000),
            "current": int(is_done),
            "maximum": 1,
            "isOnBoundedExecutor": False,
            "isStarted": True,
            "isDone": is_done,
            "details": self.failure,
        }

    def values(self, number: int, secret_key: str) -> dict[str, JsonValue]:
        """What a finished job holds. Raises JobFailedError."""
        if not self.result:
            raise JobFailedError(self.failure or _INTERRUPTED)
        try:
            packed = unseal(self.result, base64.b64decode(secret_key), _INFO, str(number))
        except UnsealError:
            raise JobFailedError(_OTHER_KEY) from None
        return _unpack(packed)

    def done(self, number: int, secret_key: str, values: JsonObject) -> "JobRecord":
        """The record of a job that came to its end; a failed one when its result does not fit in."""
        plain = json.dumps(values).encode()
        result = seal(zlib.compress(plain), base64.b64decode(secret_key), _INFO, str(number))
        if len(plain) > MOST or len(result) > _LARGEST:
            return self.failed(
                "The result is too large to be kept; ask for one project, or one region, at a time"
            )
        return self.model_copy(update={"result": result})

    def failed(self, why: str) -> "JobRecord":
        """The record of a job that failed."""
        return self.model_copy(update={"failure": why})

    def config_map(self, number: int, namespace: str) -> JsonObject:
        """The ConfigMap that nobody has made yet."""
        labels: JsonObject = {MANAGED_BY: MANAGER, JOB_LABEL: "true"}
        metadata: JsonObject = {"name": job_record(number), "namespace": namespace, "labels": labels}
        return {
            "apiVersion": CONFIG_MAPS.api_version,
            "kind": CONFIG_MAPS.kind,
            "metadata": metadata,
            "data": self.data(),
        }

    def data(self) -> JsonObject:
        """The ConfigMap's data."""
        return self.model_dump(mode="json")


def _unpack(packed: bytes) -> dict[str, JsonValue]:
    """A result's values. Raises JobFailedError for what is none.

    Whoever has the customer's key may have written it, so it must not grow without limit here.
    """
    try:
        values = json.loads(zlib.decompressobj().decompress(packed, MOST))
    except (zlib.error, ValueError, RecursionError):
        raise JobFailedError(_UNREADABLE) from None
    if not isinstance(values, dict):
        raise JobFailedError(_UNREADABLE)
    return values
