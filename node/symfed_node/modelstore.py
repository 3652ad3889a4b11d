"""Built models: what a client sees of them, kept on the data volume."""

import hashlib
import json
import math
import threading
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pydantic import JsonValue

from symfed_node.errors import CorruptDataError, NoSuchModelError
from symfed_node.files import make_folder, remove, write_atomically
from symfed_node.models.linear import ILL_CONDITIONED, LinearModel
from symfed_node.statistics.state import Statistics
from symfed_wire.frames import CONTINUOUS, Cell, DataFrame

Scope: TypeAlias = Literal["local", "federated"]
ModelInfo: TypeAlias = dict[str, JsonValue]

SCOPES: Final[tuple[Scope, ...]] = ("local", "federated")
_COLUMNS: Final = ("attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high")


class ModelStore:
    """Models by scope and id, one file each. Safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folders = {scope: make_folder(folder / scope) for scope in SCOPES}
        self._lock = threading.Lock()
        self._models: dict[tuple[Scope, str], ModelInfo] = {}
        for scope, inside in self._folders.items():
            for path in sorted(inside.glob("*.json")):
                model = _read(path)
                self._models[scope, str(model["modelId"])] = model

    def put(self, scope: Scope, model: ModelInfo) -> None:
        """Keep a model in the place of an older one with its id."""
        model_id = str(model["modelId"])
        with self._lock:
            write_atomically(self._path(scope, model_id), json.dumps(model).encode())
            self._models[scope, model_id] = model

    def get(self, scope: Scope, model_id: str) -> ModelInfo:
        """Raises NoSuchModelError."""
        with self._lock:
            model = self._models.get((scope, model_id))
        if model is None:
            raise NoSuchModelError(f"no {scope} model has the id [{model_id}]")
        return model

    def delete(self, scope: Scope, model_id: str) -> None:
        """Raises NoSuchModelError."""
        self.get(scope, model_id)
        with self._lock:
            remove(self._path(scope, model_id))
            self._models.pop((scope, model_id), None)

    def all(self, scope: Scope) -> list[ModelInfo]:
        """Every model of a scope, by id."""
        with self._lock:
            return [model for (of, _), model in sorted(self._models.items()) if of == scope]

    def _path(self, scope: Scope, model_id: str) -> Path:
        # An id is any text, a file's name is not.
        return self._folders[scope] / f"{hashlib.sha256(model_id.encode()).hexdigest()[:32]}.json"


def linear_model_info(
    model: LinearModel, stats: Statistics, *, model_id: str, built_at: int, origin: dict[str, JsonValue]
) -> ModelInfo:
    """`values.modelInfo` of a regression. `origin` says which peers and epochs are in `stats`."""
    inputs: list[JsonValue] = [str(stats.index(name)) for name in model.inputs]
    fit: dict[str, JsonValue] = {
        "digest": model.statistics_digest,
        "rows": model.rows,
        "degreesOfFreedom": model.degrees_of_freedom,
        "rSquared": model.r_squared,
        "adjustedRSquared": model.adjusted_r_squared,
        "residualVariance": model.residual_variance,
        "fStatistic": _json_number(model.f_statistic),
        "fPValue": model.f_p_value,
        "conditionNumber": model.condition_number,
        "warning": _warning(model),
        **origin,
    }
    mean = f"mean_{model.target}"
    return {
        "modelId": model_id,
        "modelType": "mlr",
        "modelBuilt": True,
        "buildTime": built_at,
        "attributeNames": list(model.inputs),
        "attributeIndexes": inputs,
        "targetNames": [model.target],
        "targetindexes": [str(stats.index(model.target))],
        "predictInfo": "",
        "scoreInfo": "",
        "info": fit,
        "extra": {
            "coefficients": _coefficients(model).to_json(),
            mean: DataFrame((mean,), (CONTINUOUS,), [[model.target_mean]]).to_json(),
        },
    }


def _coefficients(model: LinearModel) -> DataFrame:
    rows: list[list[Cell]] = [
        [
            line.attribute,
            *map(
                _json_number,
                (line.coefficient, line.std_error, line.t, line.p_value, line.ci_low, line.ci_high),
            ),
        ]
        for line in model.coefficients
    ]
    return DataFrame(_COLUMNS, ("S", *(CONTINUOUS for _ in _COLUMNS[1:])), rows)


def _json_number(value: float) -> float | str:
    """JSON has no infinity; Java and Python both read these names as numbers."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


def _warning(model: LinearModel) -> str:
    if model.condition_number <= ILL_CONDITIONED:
        return ""
    return f"the inputs are nearly collinear (condition number {model.condition_number:.1e}): digits are lost"


def _read(path: Path) -> ModelInfo:
    try:
        model = json.loads(path.read_bytes())
    except ValueError as error:
        raise CorruptDataError(f"{path} is damaged: delete it and build the model again") from error
    if not isinstance(model, dict) or "modelId" not in model:
        raise CorruptDataError(f"{path} is no model: delete it and build the model again")
    return model
