"""Calls of the contract that this version does not do: a signed one is told so in words."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from symfed_api.errors import NotSupportedError
from symfed_api.gateway import TheCaller

CALLS: Final = (
    ("POST", "/fedml/{pid}/addContract"),
    ("POST", "/fedml/{pid}/contractValidate"),
    ("POST", "/projects/dataDrift"),
    ("GET", "/projects/{pid}/export"),
    ("GET", "/projects/{pid}/freeze"),
    ("GET", "/projects/{pid}/merge"),
    ("GET", "/projects/{pid}/model/export"),
    ("GET", "/projects/{pid}/rename"),
    ("GET", "/projects/{pid}/save"),
    ("GET", "/projects/{pid}/unfreeze"),
    ("GET", "/projects/{pid}/unload"),
    ("POST", "/projects/{pid}/autoSelect"),
    ("POST", "/projects/{pid}/explorepca"),
    ("POST", "/projects/{pid}/exploresvd"),
    ("POST", "/projects/{pid}/exploresvdfs"),
    ("POST", "/projects/{pid}/import"),
    ("POST", "/projects/{pid}/learnpredict/{model}"),
    ("POST", "/projects/{pid}/model/import"),
    ("POST", "/projects/{pid}/reduce"),
    ("POST", "/projects/{pid}/vif"),
)

router = APIRouter(prefix="/symetry/rest/{cid}")


async def refuse(_: TheCaller, request: Request) -> Response:
    """Say that this version does not do this."""
    path = request.url.path.split("/", 4)[4]  # after /symetry/rest/{cid}/
    raise NotSupportedError(f"{request.method} {path} is not supported by this version")


for _verb, _path in CALLS:
    router.add_api_route(_path, refuse, methods=[_verb])
