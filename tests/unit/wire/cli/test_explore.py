"""explore and density."""

import json

import pytest
from pydantic import JsonValue
from tests.unit.wire.cli.stub import KEY, Gateway, Values, error_of, printed, run

from symfed_wire.bodies import seal_body

UNI: dict[str, JsonValue] = {
    "count": 150,
    "mean": 5.843333333333334,
    "stddev": 0.8253012917851398,
    "min": 4.3,
    "median": 5.8,
    "max": 7.9,
    "skewness": "NaN",
}


def explored(gateway: Gateway, *entries: dict[str, JsonValue]) -> None:
    gateway.on("POST /projects/p/explore", values={"KSVDMap": {"values": [*entries]}})


def members(gateway: Gateway) -> None:
    names = {"u-1a": "a", "u-1b": "b", "u-2": "b"}
    sealed = seal_body(json.dumps({"fed_name": "study", "peersInfo": names}), KEY)
    gateway.on("GET /fedml/p/info", values={"fedInfoEncrypted": sealed})


def contexts(gateway: Gateway) -> list[Values]:
    """What was asked for last."""
    found: list[Values] = json.loads(gateway.requests[-1].content)["values"]
    return found


def test_all_attributes_make_an_overview(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/info", values={"smlInfo": {"pid": "p", "attributeNames": ["a", "b"]}})
    explored(gateway, UNI, UNI)
    text = printed(run("explore", "p"))
    assert text.splitlines()[-1].split() == ["b", "150", "5.8433", "0.8253", "4.3", "5.8", "7.9"]
    assert all(len(line) <= 80 for line in text.splitlines())
    assert [context["inputAttributeNames"] for context in contexts(gateway)] == [["a"], ["b"]]
    assert gateway.requests[-1].url.params["metric"] == "uni"


def test_one_attribute_shows_every_figure(gateway: Gateway) -> None:
    explored(gateway, UNI)
    pairs = dict(line.split() for line in printed(run("explore", "p", "a")).splitlines())
    assert (pairs["attribute"], pairs["count"], pairs["mean"]) == ("a", "150", "5.84333")
    assert pairs["skewness"] == "nan"


def test_json_has_every_digit_and_figures_that_are_none_as_text(gateway: Gateway) -> None:
    explored(gateway, UNI)
    [found] = json.loads(printed(run("explore", "p", "a", "-o", "json")))
    assert (found["attribute"], found["with"], found["mean"]) == ("a", None, 5.843333333333334)
    assert found["skewness"] == "NaN"


def test_two_attributes_are_explored_together(gateway: Gateway) -> None:
    explored(gateway, {"linCorr": 0.818, "covar": 0.5135})
    members(gateway)
    text = printed(run("explore", "p", "a", "--with", "b", "--peer", "u-2", "--local"))
    assert "linCorr" in text
    assert dict(gateway.requests[-1].url.params)["metric"] == "bi"
    assert gateway.requests[-1].url.params["useLocal"] == "true"
    [context] = contexts(gateway)
    assert context["inputAttributeNames"] == ["a", "b"]
    assert context["extraParameters"] == {"fed_peer_uuid_for_explore": "u-2"}


def test_a_peer_is_meant_by_its_name_or_the_beginning_of_its_uuid(gateway: Gateway) -> None:
    explored(gateway, UNI)
    density(gateway, 1)
    members(gateway)
    for command, peer in (("explore", "a"), ("explore", "u-1a"), ("density", "a")):
        printed(run(command, "p", "x", "--peer", peer))
        assert contexts(gateway)[0]["extraParameters"] == {"fed_peer_uuid_for_explore": "u-1a"}


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("c", "p has no peer c; there are a (u-1a), b (u-1b), b (u-2)"),
        ("b", "b may be u-1b or u-2: say which by its uuid"),
        ("u-1", "u-1 may be u-1a or u-1b: say which by its uuid"),
    ],
)
def test_a_peer_that_is_nobody_or_several_is_told(gateway: Gateway, peer: str, expected: str) -> None:
    members(gateway)
    assert error_of(run("explore", "p", "x", "--peer", peer)) == expected


def test_counts_are_shown_with_every_digit(gateway: Gateway) -> None:
    explored(gateway, UNI, {**UNI, "count": 12_345_678})
    assert "12345678" in printed(run("explore", "p", "a", "b")).split()


def test_several_attributes_beside_one_fit_a_terminal(gateway: Gateway) -> None:
    shown = ("covar", "linCorr", "condCount", "condMean", "biCi95Down", "biCi95Up")
    figures: Values = dict.fromkeys(("condSum", "condVariance", *shown), -1234.56789)
    explored(gateway, figures, figures)
    text = printed(run("explore", "p", "a", "c", "--with", "b"))
    assert ["attribute", *shown] in [line.split() for line in text.splitlines()]
    assert all(len(line) <= 80 for line in text.splitlines())


def test_a_peer_that_does_not_allow_it_is_told(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/explore", 403, "peer b does not allow to be explored")
    members(gateway)
    assert "403 peer b does not allow" in error_of(run("explore", "p", "a", "--peer", "u-2"))


def test_a_project_without_attributes_is_told(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/info", values={"smlInfo": {"pid": "p"}})
    assert error_of(run("explore", "p")) == "p has no attributes yet: it has learnt nothing"


def density(gateway: Gateway, *histogram: int) -> None:
    entry: JsonValue = {"attrName": "a", "min": 0, "max": 4, "width": 2, "histogram": [*histogram]}
    gateway.on("POST /projects/p/densityEstimate", values={"densityList": [entry]})


def test_density_draws_bars_in_proportion(gateway: Gateway) -> None:
    density(gateway, 30, 60)
    lines = printed(run("density", "p", "a", "--bins", "2", "--min", "0", "--max", "4")).splitlines()
    first, second = (line.split() for line in lines[-2:])
    assert (first[:3], second[:3]) == (["0", "2", "30"], ["2", "4", "60"])
    assert (len(first[3]), len(second[3])) == (20, 40)
    [context] = contexts(gateway)
    assert context["inputAttributeNames"] == ["a"]
    assert context["extraParameters"] == {"hist_bins": 2, "hist_min": 0.0, "hist_max": 4.0}


def test_density_without_rows_has_no_bars(gateway: Gateway) -> None:
    density(gateway, 0, 0)
    assert "█" not in printed(run("density", "p", "a"))


def test_density_as_json(gateway: Gateway) -> None:
    density(gateway, 1, 2)
    found = json.loads(printed(run("density", "p", "a", "-o", "json")))
    assert found == {"attr_name": "a", "min": 0.0, "max": 4.0, "width": 2.0, "histogram": [1.0, 2.0]}


def test_density_of_no_attribute_keeps_the_nodes_words(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/densityEstimate", 400, "no attribute is named 'z'")
    assert "no attribute is named 'z'" in error_of(run("density", "p", "z"))
