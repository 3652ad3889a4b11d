"""Who is a customer: Namespaces with the label, found by a watch, and each one's secret key by name."""

import asyncio
import base64
import binascii
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from symfed_api.objects import secret_text
from symfed_wire.kube import NAMESPACES, SECRETS, JsonObject, Kube, WatchEvent
from symfed_wire.kube_errors import ForbiddenError, KubeError, NotFoundError
from symfed_wire.names import CUSTOMER_KEY, CUSTOMER_LABEL, customer_secret

_logger = logging.getLogger(__name__)

KEY_SECONDS = 10.0
KEYS_KEPT = 10_000
RELIST_SECONDS = 300.0
LONGEST_PAUSE_SECONDS = 30.0
# What is asked for when nobody has that id, so that it costs the same as a customer.
NO_NAMESPACE = "symfed-no-customer"


@dataclass(frozen=True)
class Customer:
    """A customer, its namespace, and its secret key as base64 text."""

    id: str
    namespace: str
    secret_key: str = field(repr=False)


class Namespaces:
    """Which namespace belongs to which customer."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def replace_all(self, namespaces: list[JsonObject]) -> None:
        """Take over a whole list."""
        self._ids = {}
        for namespace in namespaces:
            self.apply(WatchEvent("ADDED", namespace))

    def apply(self, event: WatchEvent) -> None:
        """Take over one change; a namespace that goes is nobody's at once."""
        metadata = event.object.get("metadata")
        if not isinstance(metadata, dict):
            return
        labels = metadata.get("labels")
        customer = labels.get(CUSTOMER_LABEL) if isinstance(labels, dict) else None
        name = str(metadata.get("name"))
        if event.type == "DELETED" or metadata.get("deletionTimestamp") or not customer:
            self._ids.pop(name, None)
        else:
            self._ids[name] = str(customer)

    def find(self, customer: str) -> str | None:
        """The customer's namespace; None when there is none, or more than one claims the id."""
        found = [namespace for namespace, owner in self._ids.items() if owner == customer]
        return found[0] if len(found) == 1 else None


class Customers:
    """The directory of customers."""

    def __init__(self, kube: Kube, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube = kube
        self._clock = clock
        self.namespaces = Namespaces()
        self._keys: dict[tuple[str, str], tuple[float, str | None]] = {}
        self.is_ready = False

    async def find(self, customer: str) -> Customer | None:
        """The customer with its key; None when unknown.

        Nobody's id takes the same way as a customer's, cache included, so that the time tells nothing.
        Raises KubeError when the API server does not answer.
        """
        namespace = self.namespaces.find(customer)
        key = await self._key(customer, namespace or NO_NAMESPACE)
        return Customer(customer, namespace, key) if namespace and key else None

    def namespace(self, customer: str) -> str | None:
        """The customer's namespace alone, for calls that no customer signs."""
        return self.namespaces.find(customer)

    async def follow(self) -> None:
        """Keep the directory current, for ever; a lost API server is tried again with back-off."""
        pause = 1.0
        while True:
            try:
                self.namespaces.replace_all(await self._kube.list_all(NAMESPACES, labels=CUSTOMER_LABEL))
                self.is_ready, pause = True, 1.0
                # A watch that starts anew does not tell what went meanwhile; a list now and then does.
                async with asyncio.timeout(RELIST_SECONDS):
                    async for event in self._kube.watch(NAMESPACES, labels=CUSTOMER_LABEL):
                        self.namespaces.apply(event)
            except TimeoutError:
                continue
            except KubeError as error:
                _logger.warning("customers: watch of namespaces: %s; again in %.0f s", error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _key(self, customer: str, namespace: str) -> str | None:
        now, entry = self._clock(), (customer, namespace)
        cached = self._keys.get(entry)
        if cached and cached[0] > now:
            return cached[1]
        key = await self._read_key(customer, namespace)
        self._keys.pop(entry, None)
        self._keys[entry] = (now + KEY_SECONDS, key)
        while len(self._keys) > KEYS_KEPT:
            del self._keys[next(iter(self._keys))]
        return key

    async def _read_key(self, customer: str, namespace: str) -> str | None:
        """The customer's key; while there is none, the log says what to wait for, as callers are not told."""
        name = customer_secret()
        why = f"Secret {name} in namespace {namespace} has no {CUSTOMER_KEY} of 16 bytes in base64"
        key = None
        try:
            key = secret_text(await self._kube.get(SECRETS, namespace, name), CUSTOMER_KEY)
        except NotFoundError:
            why = f"namespace {namespace} has no Secret {name}; it is to hold {CUSTOMER_KEY}"
        except ForbiddenError:
            why = f"the gateway may not read Secrets in namespace {namespace} until the operator lets it"
        if _is_usable(key):
            return key
        if namespace != NO_NAMESPACE:
            _logger.info("customer %s waits: %s", customer, why)
        return None


def _is_usable(key: str | None) -> bool:
    """Whether a text is 16 bytes in base64, as the ciphers need."""
    try:
        return key is not None and len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
