"""What can be wrong with rows, statistics and snapshots that are to be added up."""

from symfed_wire.errors import SymfedError


class StatisticsError(SymfedError):
    """Base of this package's errors."""

    reason = "StatisticsFailed"


class ValueOutOfRangeError(StatisticsError):
    """A value is missing or larger than the sums can take, or sums are larger than any values give."""

    reason = "ValueOutOfRange"


class SchemaMismatchError(StatisticsError):
    """Two lists of features do not fit together."""

    reason = "SchemaMismatch"


class GapsNotSupportedError(StatisticsError):
    """A feature is known in some rows and missing in others of one set of statistics."""

    reason = "NotSupported"


class NeverLearntError(StatisticsError):
    """Rows are to be forgotten that the sums cannot have had."""

    reason = "NeverLearnt"


class TooFewRowsError(StatisticsError):
    """Fewer rows than the privacy rules or the model ask for."""

    reason = "TooFewRows"
