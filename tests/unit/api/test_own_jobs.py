"""Jobs of the gateway's own: what their records say when the API server refuses."""

from symfed_api.caller import Caller
from symfed_api.own_jobs import OwnJobs
from symfed_wire.bodies import RequestLine
from symfed_wire.kube import JsonObject
from symfed_wire.kube_errors import ForbiddenError

CALLER = Caller("c1", "ns", "9cd4TmBShfeYyVYq3ChGyQ==", RequestLine("GET", "/", "", ""), is_second_form=False)


class Records:
    """An API server with the ConfigMap of one job."""

    def __init__(self) -> None:
        self.last: JsonObject = {}

    async def list_all(self, *_: object, **__: object) -> list[JsonObject]:
        """No other jobs."""
        return []

    async def create(self, _: object, __: str, config_map: JsonObject) -> JsonObject:
        """The new record."""
        return config_map

    async def replace(self, _: object, __: str, ___: str, config_map: JsonObject) -> None:
        """Its end."""
        self.last = config_map


async def test_the_api_servers_own_words_are_not_for_customers() -> None:
    async def work() -> JsonObject:
        raise ForbiddenError("user system:serviceaccount:symfed-system:symfed-gateway cannot list")

    records = Records()
    jobs = OwnJobs(records)  # type: ignore[arg-type]  # Records
    await jobs.start(CALLER, "projectsInfo", work)
    await jobs.finish()
    assert isinstance(records.last["data"], dict)
    assert records.last["data"]["failure"] == (
        "The cluster cannot serve this at the moment; send the request again"
    )
