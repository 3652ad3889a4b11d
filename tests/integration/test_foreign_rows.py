"""Rows in and out of a project of one's own, by HTTP and by WebSocket, with the foreign client."""

import pytest

from tests.foreign.client import Client, context
from tests.integration.foreign_pair import COLUMNS, iris
from tests.integration.line import Line

INPUTS, TARGET = COLUMNS[:3], COLUMNS[3]


@pytest.fixture(scope="module")
def client(line: Line) -> Client:
    """A customer without a federation."""
    customer = line.new_customer("rows")
    return Client(line.url, customer.name, customer.secret_key)


def rows_of(client: Client, pid: str) -> int:
    """How many rows a project holds."""
    return int(client.project(pid).values["smlInfo"]["params"]["rows"])


def table_of(client: Client, pid: str) -> list[float]:
    """The cells of the coefficients' table of a new model of the project."""
    accepted = client.build(pid, "mlr", "table", context(INPUTS, [TARGET]))
    finished = client.finished(accepted)
    table = finished.values["modelInfo"]["extra"]["coefficients"]["data"]
    return [float(cell) for row in table for cell in row[1:]]


def test_what_is_forgotten_was_never_learnt(client: Client) -> None:
    created = client.create_project("plain", {}, type="cpu", persist="true", enableHistogram="true")
    assert (created.status, created.text) == (201, "Project Created with id:plain")
    taken = client.create_project("plain", {})
    assert (taken.status, taken.text) == (409, "Customer [rows] already have SYMETRYML with id[plain], ")
    assert client.learn("plain", iris(0, 100)).status == 200
    before = table_of(client, "plain")
    assert client.learn("plain", iris(100, 150)).status == 200
    assert table_of(client, "plain") != before
    assert client.forget("plain", iris(100, 150)).status == 200
    assert rows_of(client, "plain") == 100
    assert table_of(client, "plain") == pytest.approx(before, rel=1e-9)


def test_rows_are_learnt_by_a_job(client: Client) -> None:
    assert client.create_project("by-job", {}).status == 201
    accepted = client.learn("by-job", iris(0, 50), **{"async": "true"})
    assert (accepted.status, accepted.text) == (202, "Job Created")
    assert client.finished(accepted).status == 200
    assert rows_of(client, "by-job") == 50
    assert client.finished(client.forget("by-job", iris(0, 20), **{"async": "true"})).status == 200
    assert rows_of(client, "by-job") == 30


def test_a_socket_learns_forgets_and_predicts(client: Client) -> None:
    assert client.create_project("socket", {}).status == 201
    with client.socket("learn", "socket") as socket:
        assert socket.send(iris(0, 60))["statusCode"] == "OK"
        assert socket.send(iris(60, 150))["statusCode"] == "OK"  # without a header
    assert rows_of(client, "socket") == 150
    with client.socket("forget", "socket") as socket:
        assert socket.send(iris(140, 150))["statusCode"] == "OK"
    assert rows_of(client, "socket") == 140
    assert table_of(client, "socket")
    with client.socket("predict", "socket", "table") as socket:
        answers = [socket.send(iris(0, 3))["values"], socket.send(iris(0, 3))["values"]]
    assert answers[0] == answers[1] == client.predict("socket", "table", iris(0, 3)).values


def test_all_projects_at_once_are_a_job_without_a_project(client: Client) -> None:
    assert client.create_project("listed", {}).status == 201
    names = client.projects().values["stringList"]["values"]
    accepted = client.projects_info()
    assert (accepted.status, accepted.text) == (202, "Job Created")
    infos = client.finished(accepted).values["smlInfoList"]
    assert sorted(info["pid"] for info in infos) == sorted(names)


def test_a_deleted_project_is_gone_with_its_name(client: Client) -> None:
    assert client.create_project("short", {}).status == 201
    text = "deleted Project with id[short] from Customer[rows] store"
    assert (client.delete("short").status, client.delete("short").text) == (
        200,
        "Cannot Find SYMETRYML id[short] for Customer id [rows]",
    )
    assert client.create_project("short", {}).status == 201
    assert client.delete("short").text == text
