"""The record of a job of the gateway's own: its states, and who can read its result."""

import base64
import os
import zlib
from datetime import UTC, datetime, timedelta

import pytest

from symfed_api.errors import JobFailedError
from symfed_api.job_records import MOST, JobRecord, JobState
from symfed_api.project_infos import described
from symfed_wire.kube import JsonObject
from symfed_wire.resources import FederationPeer
from symfed_wire.sealing import seal

NOW = datetime(2026, 1, 2, tzinfo=UTC)
KEY = base64.b64encode(bytes(range(16))).decode()
OTHER_KEY = base64.b64encode(bytes(16)).decode()
STARTED = JobRecord(kind="projectsInfo", started=NOW, deadline=NOW + timedelta(seconds=70))
VALUES: JsonObject = {"smlInfoList": [{"pid": "p1"}]}


def test_a_finished_job_holds_its_values_for_its_customer_alone() -> None:
    done = STARTED.done(7, KEY, VALUES)
    assert done.state(NOW + timedelta(days=1)) is JobState.DONE
    assert done.values(7, KEY) == VALUES
    assert "smlInfoList" not in str(done.data())
    for number, key in ((7, OTHER_KEY), (8, KEY)):
        with pytest.raises(JobFailedError, match="under another secret key; send the request again"):
            done.values(number, key)


def test_a_job_past_its_deadline_has_failed() -> None:
    assert STARTED.state(NOW) is JobState.RUNNING
    assert STARTED.state(STARTED.deadline) is JobState.FAILED
    with pytest.raises(JobFailedError, match="gateway that did this job has ended; send the request again"):
        STARTED.values(7, KEY)


def test_a_failed_job_says_why() -> None:
    failed = STARTED.failed("no answer")
    assert failed.state(NOW) is JobState.FAILED
    assert failed.info(7, "c1", NOW)["details"] == "no answer"
    with pytest.raises(JobFailedError, match="no answer"):
        failed.values(7, KEY)


def test_a_result_that_no_record_holds_fails_in_words() -> None:
    noise = base64.b64encode(os.urandom(800_000)).decode()
    assert STARTED.done(7, KEY, {"x": noise}).failure == (
        "The result is too large to be kept; ask for one project, or one region, at a time"
    )
    assert STARTED.done(7, KEY, {"x": "a" * MOST}).failure.startswith("The result is too large")
    large: JsonObject = {"x": "a" * (MOST - 10)}
    assert STARTED.done(7, KEY, large).values(7, KEY) == large


@pytest.mark.parametrize("plain", [b" " * (MOST + 1), b"[]", b"no JSON", b'{"x": "' + b"a" * MOST + b'"}'])
def test_a_result_that_somebody_else_wrote_under_the_customers_key_fails_in_words(plain: bytes) -> None:
    result = seal(zlib.compress(plain), base64.b64decode(KEY), "symfed/job/v1", "7")
    with pytest.raises(JobFailedError, match="cannot be read; send the request again"):
        STARTED.model_copy(update={"result": result}).values(7, KEY)


def test_what_a_client_is_told() -> None:
    assert STARTED.info(7, "c1", NOW) == {
        "jobId": 7,
        "jobType": "projectsInfo",
        "owner": "c1",
        "startingDate": 1767312000000,
        "current": 0,
        "maximum": 1,
        "isOnBoundedExecutor": False,
        "isStarted": True,
        "isDone": False,
        "details": "",
    }
    assert STARTED.done(7, KEY, VALUES).info(7, "c1", NOW)["isDone"] is True


def test_the_record_is_read_as_it_was_written() -> None:
    done = STARTED.done(7, KEY, VALUES)
    assert JobRecord.model_validate(done.data()) == done
    assert done.config_map(7, "ns")["metadata"] == {
        "name": "symfed-job-7",
        "namespace": "ns",
        "labels": {"app.kubernetes.io/managed-by": "symfed-gateway", "symfed.dev/job": "true"},
    }


def test_a_project_without_its_node_is_told_from_its_objects() -> None:
    condition = {"type": "NodeReady", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    peer = FederationPeer.model_validate(
        {
            "metadata": {"name": "p1", "creationTimestamp": "2026-01-02T00:00:00Z"},
            "spec": {"project": "p1", "federationRef": {"name": "iris"}, "compute": {"type": "gpu"}},
            "status": {"conditions": [condition]},
        }
    )
    info = described(peer, NOW)
    assert (info["pid"], info["type"], info["loaded"], info["creationDate"]) == (
        "p1",
        "gpu",
        False,
        1767312000000,
    )
    assert info["params"] == {
        "fed_pulsing": True,
        "fed_has_error": False,
        "fed_is_admin": True,
        "not_ready": "Project p1 is not ready: Unschedulable: 0/3 nodes",
    }
