"""The error log of the exchange: an error comes once, and again after it was cleared."""

from symfed_node.exchange.log import LONGEST_LINE, SyncLog


def texts(log: SyncLog) -> list[str]:
    return [line.partition(" ")[2] for line in log.errors]


def test_a_standing_error_is_written_once_until_it_is_well_or_cleared() -> None:
    log = SyncLog()
    for _ in range(2):
        log.error("nats", "no answer")
    assert texts(log) == ["no answer"]
    log.clear_errors()
    assert texts(log) == []
    for _ in range(2):
        log.error("nats", "no answer")
    assert texts(log) == ["no answer"]
    log.well("nats")
    log.error("nats", "no answer")
    assert texts(log) == ["no answer", "no answer"]


def test_a_line_has_an_end() -> None:
    log = SyncLog()
    for _ in range(2):
        log.error("peer", "name, " * 100_000)
    assert [len(line) for line in texts(log)] == [LONGEST_LINE + 1]
