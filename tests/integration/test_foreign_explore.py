"""Figures and distributions with a client that shares no code with symfed, against all parts."""

import pytest

from tests.foreign.client import Client, Json, context
from tests.integration.foreign_pair import ADMIN, COLUMNS, MEMBER, Pair, exchange, flowers, iris, new_pair
from tests.integration.line import Line
from tests.integration.servers import wait_until

PUBLISHED = {
    "count": 150,
    "mean": 5.843333333333334,
    "variance": 0.6811222222222204,
    "stddev": 0.8253012917851398,
    "skewness": 0.31808651443435426,
}
UNIVARIATE = {*PUBLISHED, "kurtosis", "stderr", "meanMarginErrorC95", "min", "max", "median"}


@pytest.fixture(scope="module")
def pair(line: Line) -> Pair:
    """Two members with the published 150 flowers between them, exchanged."""
    made = new_pair(line, "explore")
    assert made.admin.learn(ADMIN, iris(0, 80)).status == 200
    assert made.member.learn(MEMBER, iris(80, 150)).status == 200
    exchange(made, 150)
    return made


def figures(client: Client, pid: str, metric: str, about: Json, **query: str) -> Json:
    """The first map of an exploration."""
    answer = client.explore(pid, metric, [about], **query)
    assert answer.status == 200, answer.body
    first: Json = answer.values["KSVDMap"]["values"][0]
    return first


@pytest.mark.parametrize("by", [{"inputAttributeNames": ["sepal_length"]}, {"inputAttributes": ["0"]}])
def test_the_published_figures_of_one_attribute(pair: Pair, by: Json) -> None:
    found = [figures(client, pid, "uni", by) for client, pid in ((pair.admin, ADMIN), (pair.member, MEMBER))]
    assert found[0] == found[1]
    assert found[0].keys() >= UNIVARIATE
    assert {key: found[0][key] for key in PUBLISHED} == pytest.approx(PUBLISHED, rel=1e-11)


def test_the_published_figures_of_two_attributes(pair: Pair) -> None:
    found = figures(pair.member, MEMBER, "bi", context(["sepal_length", "petal_width"]))
    published = {"linCorr": 0.8180, "covar": 0.5135, "condCount": 179.8, "condMean": 6.2717}
    assert {key: round(found[key], 4) for key in published} == published
    assert found["biCi95Down"] < found["linCorr"] < found["biCi95Up"]


def test_several_contexts_are_answered_in_order_and_with_the_project(pair: Pair) -> None:
    answer = pair.admin.explore(ADMIN, "uni", [context([name]) for name in COLUMNS])
    means = [entry["mean"] for entry in answer.values["KSVDMap"]["values"]]
    assert means == pytest.approx([sum(column) / 150 for column in zip(*flowers(), strict=True)])
    assert answer.values["smlInfo"]["pid"] == ADMIN
    bare = pair.admin.explore(ADMIN, "uni", [context(["sepal_length"])], returnProjectInfo="false")
    assert bare.values.keys() == {"KSVDMap"}


def test_local_figures_are_of_the_own_rows(pair: Pair) -> None:
    about = context(["sepal_length"])
    assert figures(pair.member, MEMBER, "uni", about, useLocal="true")["count"] == 70
    assert figures(pair.member, MEMBER, "uni", about, useLocal="false")["count"] == 150


def test_a_peer_is_explored_when_it_allows_it(pair: Pair) -> None:
    uuid = pair.member.opened(pair.member.info(MEMBER), "fedInfoEncrypted")["local_uuid"]
    about = context(["sepal_length"], extra={"fed_peer_uuid_for_explore": uuid})
    refused = pair.admin.explore(ADMIN, "uni", [about])
    assert refused.status == 403, refused.body
    assert MEMBER in refused.text
    assert pair.member.set_explore_peers(MEMBER, "true").status == 200
    wait_until(lambda: pair.admin.explore(ADMIN, "uni", [about]).status == 200, "it stays refused")
    assert figures(pair.admin, ADMIN, "uni", about)["count"] == 70


def test_a_density_counts_every_row_once(pair: Pair) -> None:
    about = context(["petal_length"], extra={"hist_bins": "6", "hist_min": "1", "hist_max": "7"})
    answers = [
        client.density_estimate(pid, [about]) for client, pid in ((pair.admin, ADMIN), (pair.member, MEMBER))
    ]
    assert answers[0].body == answers[1].body
    [density] = answers[0].values["densityList"]["values"]
    assert {key: density[key] for key in ("attrName", "min", "max", "width")} == {
        "attrName": "petal_length",
        "min": 1,
        "max": 7,
        "width": 1,
    }
    assert len(density["histogram"]) == 6
    assert sum(density["histogram"]) == pytest.approx(150)


def test_histograms_are_always_on(pair: Pair) -> None:
    assert pair.admin.histogram_enable(ADMIN, "true").status == 200
    refused = pair.admin.histogram_enable(ADMIN, "false")
    assert (refused.status, refused.text) == (400, "histograms are always kept: they cannot be switched off")
    assert pair.admin.project(ADMIN).values["smlInfo"]["histogramEnabled"] is True


def test_what_cannot_be_explored_is_named(pair: Pair) -> None:
    answer = pair.admin.explore(ADMIN, "anova", [context(["sepal_length"])])
    assert (answer.status, answer.text) == (400, "metric 'anova' is not supported yet; supported: uni, bi")
    answer = pair.admin.explore(ADMIN, "uni", [context(["petals"])])
    assert answer.status == 400
    assert "'petals'" in answer.text
