"""`awsinfo`: which topics and queues an AWS account has, as a job with the caller's own keys."""

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from pydantic import JsonValue

from symfed_api.aws_regions import AwsRegions, Region, RegionError
from symfed_api.caller import Caller
from symfed_api.gateway import Gateway
from symfed_wire.aws_errors import AwsReason
from symfed_wire.backend_keys import spelled_region
from symfed_wire.federation_map import AwsInfoMap, parse_aws_info_map
from symfed_wire.kube import JsonObject

KIND: Final = "awsInfo"
_NAME: Final = "awsInfo"  # of the result in the job's record
_SEALED_NAME: Final = "awsInfoEncrypted"
_AT_ONCE: Final = 6  # regions of one job that are asked at the same time
# Of all jobs: boto3 blocks, and more threads would keep the calls of others waiting.
_THREADS: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="aws")
# Where all regions are asked, one that answers so is left out: the account does not use it, or may not.
_LEFT_OUT: Final = (AwsReason.CREDENTIALS_REFUSED, AwsReason.ACCESS_DENIED)


async def start_aws_info(gateway: Gateway, caller: Caller, keys: Mapping[str, JsonValue]) -> int:
    """Begin the job; its number. Raises FederationMapError, NotReadyError while too many jobs are running."""
    asked = parse_aws_info_map(keys)
    endpoint = gateway.settings.aws_endpoint_url or None
    return await gateway.jobs.start(caller, KIND, lambda: aws_info(asked, endpoint))


async def aws_info(asked: AwsInfoMap, endpoint: str | None) -> JsonObject:
    """What the job's record keeps: an AwsInfo. Raises RegionError."""
    account = await asyncio.to_thread(AwsRegions, asked.credentials, endpoint)
    try:
        if asked.region is not None:
            return {_NAME: described({asked.region: await _read(account, asked.region)})}
        return {_NAME: described(await _read_all(account))}
    finally:
        account.stop()


def sealed_for(caller: Caller, values: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A finished job's values as its customer gets them, in the form that was asked in."""
    if _NAME not in values:
        return dict(values)
    others = {name: value for name, value in values.items() if name != _NAME}
    return others | {_SEALED_NAME: caller.seal(json.dumps(values[_NAME]))}


def described(found: Mapping[str, Region | RegionError]) -> JsonObject:
    """AwsInfo by region. `skipped`, which is ours, says why a region was left out.

    Raises RegionError when all of them were.
    """
    regions = {spelled_region(name): region for name, region in found.items() if isinstance(region, Region)}
    skipped = {spelled_region(name): error for name, error in found.items() if isinstance(error, RegionError)}
    if not regions:
        # Keys that one region knows and allows nothing are right: that is what is to be told.
        raise min(skipped.values(), key=lambda error: error.cause is not AwsReason.ACCESS_DENIED)
    topics: JsonObject = {
        name: [
            {
                arn: [
                    {
                        "owner": subscription.owner,
                        "protocol": subscription.protocol,
                        "endpoint": subscription.endpoint,
                        "subscription_arn": subscription.arn,
                    }
                    for subscription in subscriptions
                ]
            }
            for arn, subscriptions in region.topics.items()
        ]
        for name, region in regions.items()
    }
    return {
        "topics": topics,
        "queues": {name: list(region.queues) for name, region in regions.items()},
        "skipped": {name: str(error) for name, error in skipped.items()},
    }


async def _read_all(account: AwsRegions) -> dict[str, Region | RegionError]:
    at_once = asyncio.Semaphore(_AT_ONCE)

    async def read(name: str) -> Region | RegionError:
        async with at_once:
            try:
                return await _read(account, name)
            except RegionError as error:
                if error.cause not in _LEFT_OUT:
                    raise
                return error

    names = await asyncio.to_thread(account.names)
    return dict(zip(names, await asyncio.gather(*map(read, names)), strict=True))


async def _read(account: AwsRegions, name: str) -> Region:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, account.read, name)
