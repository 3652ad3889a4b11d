"""Why a model cannot be built from the statistics at hand."""

from symfed_wire.errors import SymfedError


class ModelError(SymfedError):
    """Base: the request or the statistics do not give this model."""

    reason = "ModelNotPossible"


class TooFewRowsError(ModelError):
    """No degree of freedom is left for the errors."""

    reason = "TooFewRows"


class ConstantFeatureError(ModelError):
    """A feature has one value in all rows."""

    reason = "ConstantFeature"


class CollinearError(ModelError):
    """Inputs are linear combinations of each other, so their coefficients are not determined."""

    reason = "Collinear"
