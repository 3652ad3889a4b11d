"""Built models: what a client sees of them, and what predicts with them, kept on the data volume."""

import base64
import hashlib
import json
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np
from pydantic import JsonValue

from symfed_node.errors import CorruptDataError, NoSuchModelError
from symfed_node.files import make_folder, remove, write_atomically
from symfed_node.models.linear import ILL_CONDITIONED, LinearModel
from symfed_node.models.predict import LinearPredictor
from symfed_node.statistics.state import triangle_size
from symfed_wire.frames import CONTINUOUS, Cell, DataFrame

Scope: TypeAlias = Literal["local", "federated"]
ModelInfo: TypeAlias = dict[str, JsonValue]

SCOPES: Final[tuple[Scope, ...]] = ("local", "federated")
_PREDICTOR: Final = "predictor"
_COLUMNS: Final = ("attribute", "coefficient", "std.error", "scores", "p.values", "ci.low", "ci.high")


@dataclass(frozen=True, eq=False)
class StoredModel:
    """A built model."""

    info: ModelInfo
    """what a client sees"""
    predictor: LinearPredictor | None
    """what predicts; None in a model of a version that kept nothing for it"""

    @property
    def id(self) -> str:
        """The client's name for it."""
        return str(self.info["modelId"])


class ModelStore:
    """Models by scope and id, one file each. Safe for several threads."""

    def __init__(self, folder: Path) -> None:
        self._folders = {scope: make_folder(folder / scope) for scope in SCOPES}
        self._lock = threading.Lock()
        self._models: dict[tuple[Scope, str], StoredModel] = {}
        for scope, inside in self._folders.items():
            for path in sorted(inside.glob("*.json")):
                model = _read(path)
                self._models[scope, model.id] = model

    def put(self, scope: Scope, model: StoredModel) -> None:
        """Keep a model in the place of an older one with its id."""
        with self._lock:
            write_atomically(self._path(scope, model.id), _to_bytes(model))
            self._models[scope, model.id] = model

    def get(self, scope: Scope, model_id: str) -> StoredModel:
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
        """What a client sees of every model of a scope, by id."""
        with self._lock:
            return [model.info for (of, _), model in sorted(self._models.items()) if of == scope]

    def _path(self, scope: Scope, model_id: str) -> Path:
        # An id is any text, a file's name is not.
        return self._folders[scope] / f"{hashlib.sha256(model_id.encode()).hexdigest()[:32]}.json"


def linear_model_info(
    model: LinearModel, names: Sequence[str], *, model_id: str, built_at: int, origin: dict[str, JsonValue]
) -> ModelInfo:
    """`values.modelInfo` of a regression.

    `names` are the project's attributes in the order of their indexes; `origin` says which peers and epochs
    are in the sums.
    """
    inputs: list[JsonValue] = [str(names.index(name)) for name in model.inputs]
    fit: dict[str, JsonValue] = {
        "digest": model.statistics_digest,
        "rows": model.rows,
        "degreesOfFreedom": model.degrees_of_freedom,
        "rSquared": model.r_squared,
        "adjustedRSquared": model.adjusted_r_squared,
        "residualVariance": model.residual_variance,
        "fStatistic": json_number(model.f_statistic),
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
        "targetindexes": [str(names.index(model.target))],
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
                json_number,
                (line.coefficient, line.std_error, line.t, line.p_value, line.ci_low, line.ci_high),
            ),
        ]
        for line in model.coefficients
    ]
    return DataFrame(_COLUMNS, ("S", *(CONTINUOUS for _ in _COLUMNS[1:])), rows)


def json_number(value: float) -> float | str:
    """A number in an answer. JSON has no infinity; Java and Python both read these names as numbers."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"


def _warning(model: LinearModel) -> str:
    if model.condition_number <= ILL_CONDITIONED:
        return ""
    return f"the inputs are nearly collinear (condition number {model.condition_number:.1e}): digits are lost"


def _to_bytes(model: StoredModel) -> bytes:
    """What a client sees, as JSON, and the predictor's numbers beside it, base64 of little-endian float64."""
    kept = model.predictor
    if kept is None:
        return json.dumps(model.info).encode()
    numbers = np.concatenate([[kept.target_at_means], kept.slopes, kept.means, kept.moments])
    text = base64.b64encode(numbers.astype("<f8").tobytes()).decode()
    return json.dumps({**model.info, _PREDICTOR: {"inputs": list(kept.inputs), "numbers": text}}).encode()


def _read(path: Path) -> StoredModel:
    try:
        info = json.loads(path.read_bytes())
        kept = info.pop(_PREDICTOR, None)
        model = StoredModel(
            info, None if kept is None else _predictor(tuple(kept["inputs"]), kept["numbers"])
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptDataError(f"{path} is damaged: delete it and build the model again") from error
    if "modelId" not in info:
        raise CorruptDataError(f"{path} is no model: delete it and build the model again")
    return model


def _predictor(inputs: tuple[str, ...], text: str) -> LinearPredictor:
    numbers = np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64)
    p = len(inputs)
    if len(numbers) != 1 + 2 * p + triangle_size(p):
        raise ValueError(f"{len(numbers)} numbers for {p} inputs")
    slopes, means, moments = np.split(numbers[1:], [p, 2 * p])
    return LinearPredictor(inputs, float(numbers[0]), slopes, means, moments)
