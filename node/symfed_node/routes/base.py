"""What all routes share: the node that they work with, and how a request is read."""

from dataclasses import dataclass

from starlette.requests import Request

from symfed_node.errors import NoSuchProjectError, NotSupportedError, TooLargeError
from symfed_node.exchange.loop import Exchanger
from symfed_node.jobs import Jobs
from symfed_node.project import Project
from symfed_wire.errors import MalformedError
from symfed_wire.node_config import NodeConfig

PROJECT = "/projects/{pid}"


@dataclass(frozen=True)
class Node:
    """What the routes work with."""

    config: NodeConfig
    token: str
    project: Project
    jobs: Jobs
    exchanger: Exchanger | None
    max_body_bytes: int

    def check_project(self, request: Request) -> None:
        """Raises NoSuchProjectError when the path names another project than this node's."""
        project = request.path_params["pid"]
        if project != self.config.project:
            raise NoSuchProjectError(project, self.config.customer)

    def exchanger_for(self, request: Request) -> Exchanger:
        """The exchange of the path's project. Raises NoSuchProjectError and NotSupportedError."""
        self.check_project(request)
        if self.exchanger is None:
            raise NotSupportedError(f"project [{self.config.project}] belongs to no federation")
        return self.exchanger

    async def body(self, request: Request) -> bytes:
        """The request's body; TooLargeError as soon as it passes the limit."""
        limit, parts, size = self.max_body_bytes, list[bytes](), 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLargeError(f"the body has more than {limit} bytes: send the rows in several parts")
            parts.append(part)
        return b"".join(parts)


def flag(request: Request, name: str, *, default: bool = False) -> bool:
    """A query parameter that is true or false. Raises MalformedError."""
    text = request.query_params.get(name, str(default)).lower()
    if text not in ("true", "false"):
        raise MalformedError(f"{name} is {text!r}: it must be true or false")
    return text == "true"


def use_local(request: Request) -> bool:
    """Whether the local project is asked and not the federated one."""
    return flag(request, "useLocal")
