"""The certificates and kubeconfigs of the local cluster: one authority, one certificate per program."""

import base64
import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.cluster.layout import API_SERVER, API_SERVICE_ADDRESS, CONFIG, NODE, NODE_ADDRESS

LIFE = datetime.timedelta(days=3650)
USES = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]


@dataclass(frozen=True)
class Identity:
    """Who a certificate speaks for, and the names and addresses it serves at."""

    file: str
    user: str
    group: str | None = None
    names: tuple[str, ...] = ()


ADMIN = Identity("admin", "symfed-admin", "system:masters")
CLIENTS = (
    ADMIN,
    Identity("controller-manager", "system:kube-controller-manager"),
    Identity("scheduler", "system:kube-scheduler"),
    Identity("proxy", "system:kube-proxy"),
    Identity("dns", "symfed-dns"),
    Identity("kubelet", f"system:node:{NODE}", "system:nodes", (NODE, NODE_ADDRESS)),
)
API = Identity(
    "api-server",
    "kube-apiserver",
    "system:masters",  # it calls the kubelet with the same certificate
    (
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "127.0.0.1",
        NODE_ADDRESS,
        API_SERVICE_ADDRESS,
    ),
)
AUTHORITY = CONFIG / "authority.pem"
SERVICE_ACCOUNTS = CONFIG / "service-accounts.key"


def certificate(identity: Identity) -> Path:
    """The file of an identity's certificate."""
    return CONFIG / f"{identity.file}.pem"


def key(identity: Identity) -> Path:
    """The file of an identity's private key."""
    return CONFIG / f"{identity.file}.key"


def kubeconfig(file: str) -> Path:
    """The kubeconfig of one of CLIENTS."""
    return CONFIG / f"{file}.kubeconfig"


def make() -> None:
    """Makes all keys, certificates and kubeconfigs; keeps a complete set that is there."""
    whole = CONFIG / "keys-complete"
    if whole.exists():
        return
    CONFIG.mkdir(parents=True, exist_ok=True)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = sign(Identity("authority", "symfed local cluster"), authority_key, None, authority_key)
    AUTHORITY.write_bytes(authority.public_bytes(Encoding.PEM))
    for identity in (*CLIENTS, API):
        own = ec.generate_private_key(ec.SECP256R1())
        signed = sign(identity, own, authority, authority_key)
        certificate(identity).write_bytes(signed.public_bytes(Encoding.PEM))
        write_key(key(identity), own)
    for identity in CLIENTS:
        write_kubeconfig(identity)
    write_key(SERVICE_ACCOUNTS, ec.generate_private_key(ec.SECP256R1()))
    whole.touch()


def sign(
    identity: Identity,
    own: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate | None,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """A certificate for the identity; without an authority it is one itself."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, identity.user)]
    if identity.group:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.group))
    subject = x509.Name(attributes)
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject if authority else subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
    )
    if authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage(USES), critical=False)
    if identity.names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(list(map(alternative, identity.names))), critical=False
        )
    return builder.sign(authority_key, hashes.SHA256())


def alternative(name: str) -> x509.GeneralName:
    """A name or an address as a certificate carries it."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write_key(path: Path, own: ec.EllipticCurvePrivateKey) -> None:
    """Writes a private key for its owner's eyes only."""
    path.touch(mode=0o600)
    path.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))


def write_kubeconfig(identity: Identity) -> None:
    """Writes a kubeconfig that holds its certificates itself, so that it can be copied."""
    name = "symfed"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {"server": API_SERVER, "certificate-authority-data": embedded(AUTHORITY)},
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": identity.file}}],
        "users": [
            {
                "name": identity.file,
                "user": {
                    "client-certificate-data": embedded(certificate(identity)),
                    "client-key-data": embedded(key(identity)),
                },
            }
        ],
    }
    path = kubeconfig(identity.file)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content))


def embedded(path: Path) -> str:
    """A file's content as a kubeconfig carries it."""
    return base64.b64encode(path.read_bytes()).decode()
