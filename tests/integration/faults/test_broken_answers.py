"""A node whose connection to the gateway breaks after it has done what was asked, and before it said so."""

import pytest

from symfed_wire.client import ApiError
from symfed_wire.client.http import Call, Caller, Credentials
from tests.integration.faults.peers import BATCH, federation, new_rows
from tests.integration.line import Line


def test_an_answer_that_is_lost(line: Line) -> None:
    """A learn without a request id is never sent again; with one it is, and learnt once."""
    with federation(line, "broken-answer") as peers:
        north = peers.admin
        base = f"{line.url}/symetry/rest/{north.customer.name}"
        caller = Caller(base, Credentials(north.customer.name, north.customer.secret_key), "v1", 10, None)
        line.services.cut_next()
        with pytest.raises(ApiError) as refused:
            caller.send(Call("POST", f"/projects/{north.pid}/learn", body=new_rows().to_json()))
        caller.close()
        assert refused.value.status == 502
        assert refused.value.text.endswith("whether it did what was asked is not known")
        north.acknowledged += BATCH  # it was done, once, and nobody said so
        line.services.cut_next()
        north.learn()
        peers.settle()
