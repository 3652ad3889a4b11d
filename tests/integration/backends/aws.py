"""Two accounts on AWS, on an emulator."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from botocore.exceptions import ClientError

from symfed_wire.documents import Signed, parse_signed
from tests.integration.aws_servers import (
    ADMIN_ACCOUNT,
    PEER_ACCOUNT,
    REGION,
    SECRET_KEY,
    AwsAccount,
    AwsServer,
)
from tests.integration.backends.outside import federation_uid, uuid_of
from tests.integration.faults.peers import Peer, Peers
from tests.integration.gate import Gate

BUCKETS = {ADMIN_ACCOUNT: "bucket-of-the-admin", PEER_ACCOUNT: "bucket-of-a-peer"}


class Aws:
    """`Administered` on AWS; see there. The first customer has one account, the second the other."""

    def __init__(self, folder: Path) -> None:
        self.server = AwsServer.ministack(folder)
        self.gate = Gate(urlsplit(self.server.url).port or 0)

    def make_buckets(self) -> None:
        """Each account has one."""
        for account, bucket in BUCKETS.items():
            self._account(account).s3.create_bucket(
                Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
            )

    @property
    def founding(self) -> Mapping[str, str]:
        return self._side(ADMIN_ACCOUNT)

    @property
    def joining(self) -> Mapping[str, str]:
        return self._side(PEER_ACCOUNT)

    def made(self) -> frozenset[str]:
        names = set[str]()
        for account, bucket in BUCKETS.items():
            own = self._account(account)
            names |= {topic["TopicArn"] for topic in own.sns.list_topics()["Topics"]}
            names |= {*own.sqs.list_queues().get("QueueUrls", [])}
            names |= {f"{bucket}/{key.rpartition('/')[0]}" for key in self._keys(account)}
            names |= {f"{bucket}: {sid}" for sid in self._statements(account)}
        return frozenset(names)

    def expected(self, members: int) -> int:
        """A topic, the document; for each member two queues and a prefix; a statement for each bucket."""
        return 2 + 3 * members + len(BUCKETS)

    def head(self, peers: Peers, peer: Peer) -> Signed:
        account, prefix = self._place(peers, peer)
        return parse_signed(self._read(account, f"{prefix}latest.json"))

    def put_head(self, peers: Peers, peer: Peer, head: Signed) -> None:
        account, prefix = self._place(peers, peer)
        self._account(account).s3.put_object(
            Bucket=BUCKETS[account], Key=f"{prefix}latest.json", Body=head.model_dump_json().encode()
        )

    def drop(self, peers: Peers, peer: Peer) -> None:
        account, prefix = self._place(peers, peer)
        for key in self._keys(account, prefix):
            self._account(account).s3.delete_object(Bucket=BUCKETS[account], Key=key)

    def contents(self, peers: Peers, peer: Peer) -> list[bytes]:
        account, prefix = self._place(peers, peer)
        return [self._read(account, key) for key in self._keys(account, prefix)]

    @contextmanager
    def away(self) -> Iterator[None]:
        with self.gate.closed():
            yield

    def lose(self) -> None:
        """Topics, queues and objects; buckets are the customers' own."""
        for account, bucket in BUCKETS.items():
            own = self._account(account)
            for topic in own.sns.list_topics()["Topics"]:
                own.sns.delete_topic(TopicArn=topic["TopicArn"])
            for queue in own.sqs.list_queues().get("QueueUrls", []):
                own.sqs.delete_queue(QueueUrl=queue)
            for key in self._keys(account):
                own.s3.delete_object(Bucket=bucket, Key=key)

    def _account(self, account: str) -> AwsAccount:
        return self.server.account(account)

    def _side(self, account: str) -> Mapping[str, str]:
        return {
            "aws_access_key": account,
            "aws_secret_key": SECRET_KEY,
            "aws_region": REGION,
            "s3_bucket": BUCKETS[account],
            "aws_id": account,
            "aws_endpoint_url": f"http://127.0.0.1:{self.gate.port}",
        }

    def _place(self, peers: Peers, peer: Peer) -> tuple[str, str]:
        account = ADMIN_ACCOUNT if peer.namespace == peers.admin.namespace else PEER_ACCOUNT
        return account, f"{federation_uid(peers)}/{uuid_of(peers, peer)}/"

    def _keys(self, account: str, prefix: str = "") -> list[str]:
        listed = self._account(account).s3.list_objects_v2(Bucket=BUCKETS[account], Prefix=prefix)
        return [item["Key"] for item in listed.get("Contents", [])]

    def _read(self, account: str, key: str) -> bytes:
        return self._account(account).s3.get_object(Bucket=BUCKETS[account], Key=key)["Body"].read()

    def _statements(self, account: str) -> list[str]:
        try:
            policy = self._account(account).s3.get_bucket_policy(Bucket=BUCKETS[account])["Policy"]
        except ClientError:
            return []
        return [statement["Sid"] for statement in orjson.loads(policy)["Statement"]]
