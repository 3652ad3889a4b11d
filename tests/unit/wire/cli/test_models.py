"""build and model."""

import json

from pydantic import JsonValue
from tests.unit.wire.cli.stub import Gateway, Values, error_of, printed, run

COEFFICIENTS: JsonValue = {
    "attributeNames": ["attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high"],
    "attributeTypes": ["S", "C", "C", "C", "C", "C", "C"],
    "data": [["intercept", 1.5, 0.5, 3.0, 0.01, 0.5, 2.5], ["a", 0.1234567890123, 1, 1, 1, 1, 1]],
}


def test_build_waits_for_its_job(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/build", 202, "Job Created")
    gateway.on("GET /jobs/7", text="Job is finished")
    result = run("build", "p", "--model", "m", "--target", "y", "--inputs", "a, b", "--local")
    assert result.stdout == "model m is built; see `symfed model p m --local`\n", result.output
    assert json.loads(gateway.requests[0].content)["inputAttributeNames"] == ["a", "b"]
    assert gateway.requests[0].url.params["useLocal"] == "true"


def model_values(condition: float) -> Values:
    figures: JsonValue = {"rows": 150, "rSquared": 0.9, "conditionNumber": condition, "digest": "d"}
    return {
        "modelInfo": {
            "modelId": "m",
            "modelType": "mlr",
            "targetNames": ["y"],
            "info": figures,
            "extra": {"coefficients": COEFFICIENTS},
        }
    }


def test_model_prints_its_table_and_warns_of_an_ill_conditioned_one(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/models/m", values=model_values(2e6))
    result = run("model", "p", "m")
    assert "intercept" in result.stdout
    assert "rows 150   R² 0.9" in result.stdout
    assert result.stderr.startswith("warning: condition number 2e+06")


def test_model_as_json_keeps_every_bit(gateway: Gateway) -> None:
    gateway.on("GET /projects/p/models/m", values=model_values(10))
    result = run("model", "p", "m", "-o", "json")
    plain = json.loads(result.stdout)
    assert plain["coefficients"][1]["coefficient"] == 0.1234567890123
    assert (plain["rows"], plain["digest"], plain["condition_number"]) == (150, "d", 10)
    assert result.stderr == ""


def test_build_passes_parameters_on(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/build", 202, "Job Created")
    gateway.on("GET /jobs/7", text="Job is finished")
    options = ("--algo", "ridge", "--parameter", "lambda=0.1", "--parameter", "aicc=true")
    printed(run("build", "p", "--model", "m", "--target", "y", "--inputs", "a", *options))
    assert gateway.body(0)["extraParameters"] == {"lambda": "0.1", "aicc": "true"}
    assert gateway.requests[0].url.params["algo"] == "ridge"


def test_a_parameter_needs_name_and_value(gateway: Gateway) -> None:
    line = error_of(run("build", "p", "--model", "m", "--target", "y", "--parameter", "aicc"), status=2)
    assert line == "--parameter aicc: write NAME=VALUE, such as lambda=0.1"


def test_a_failed_build_says_why(gateway: Gateway) -> None:
    gateway.on("POST /projects/p/build", 202, "Job Created")
    gateway.on("GET /jobs/7", 400, "the inputs are linearly dependent")
    line = error_of(run("build", "p", "--model", "m", "--target", "y", "--inputs", "a"))
    assert line == "GET /jobs/7: 400 the inputs are linearly dependent"
