"""A customer's namespace as it is read."""

from symfed_operator.conditions import false
from symfed_wire.documents import WireModel
from symfed_wire.kube import NAMESPACES, Kube
from symfed_wire.names import CUSTOMER_LABEL
from symfed_wire.resources import Condition, ObjectMeta


class NamespaceObject(WireModel):
    """A Namespace as it is read."""

    metadata: ObjectMeta

    @property
    def customer(self) -> str | None:
        """The customer id, if the namespace is one's."""
        return self.metadata.labels.get(CUSTOMER_LABEL)

    @property
    def is_terminating(self) -> bool:
        """Whether nothing can be created in it any more."""
        return self.metadata.deletion_timestamp is not None


async def read_namespace(kube: Kube, name: str) -> NamespaceObject:
    """A namespace as it is now. Raises NotFoundError."""
    return NamespaceObject.model_validate(await kube.get(NAMESPACES, None, name))


def no_customer(condition: str, namespace: NamespaceObject) -> Condition:
    """Nothing is made for an object in a namespace that is no customer's."""
    name = namespace.metadata.name
    text = f"namespace {name} is no customer's; label it {CUSTOMER_LABEL}=<customer id>"
    return false(condition, "NoCustomer", text)
