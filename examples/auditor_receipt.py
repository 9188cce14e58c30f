"""An auditor checks a receipt that an organisation handed in, and sees who asked about a subject.

    python examples/auditor_receipt.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --vkey "$(cat log.vkey)" --proof receipt.tlog-proof --entry receipt.json \
        --subject 91460099MA1KB25D0C --reason "complaint 2026-17"

The proof is checked without the gateway. Then the gateway must show the same entry at the same
index. Reading entries and accesses is itself an entry of the log.
"""

import argparse
import json
import sys
from pathlib import Path

import grpc

from audit.errors import AuditError
from audit.verify import check_proof
from xinguan.client import Identity, SyncClient
from xinguan.v1 import audit_pb2, audit_pb2_grpc


def main() -> int:
    """Check the receipt offline, compare it with the gateway's log, list accesses."""
    words = _arguments()
    entry = words.entry.read_bytes()
    try:
        receipt, checkpoint = check_proof(words.proof.read_bytes(), entry, words.vkey)
    except AuditError as error:
        print(f"the receipt does not hold: {error}")
        return 1
    print(f"entry {receipt.index} is proved in a log of {checkpoint.size} entries")
    told = json.loads(entry)
    for name in ("kind", "party", "purpose", "product", "licence", "managers", "fields"):
        print(f"{name:<10} {told.get(name)}")
    identity = Identity.load(words.cert, words.key, words.ca)
    if not _shown_alike(words.target, identity, receipt.index, entry):
        print("the gateway shows another entry at this index")
        return 1
    print("the gateway shows the same entry at this index")
    if words.subject:
        with SyncClient(words.target, identity) as gateway:
            accesses = gateway.accesses(words.subject, words.reason)
        for access in accesses:
            result = ", ".join(access.refused) or f"{len(access.fields)} fields"
            print(f"entry {access.index}: {access.party} {access.purpose} {result}")
    return 0


def _shown_alike(target: str, identity: Identity, index: int, entry: bytes) -> bool:
    """Return whether the gateway's log has this very entry at this index."""
    with grpc.secure_channel(target, identity.credentials()) as channel:
        service = audit_pb2_grpc.AuditServiceStub(channel)
        request = audit_pb2.ListEntriesRequest(start=index, count=1)
        shown = [message.entry for message in service.ListEntries(request, timeout=30)]
    return shown == [entry]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--vkey", required=True, help="verifier key of the log")
    parser.add_argument("--proof", required=True, type=Path, help="the .tlog-proof file")
    parser.add_argument("--entry", required=True, type=Path, help="the entry that it proves")
    parser.add_argument("--subject", help="list who asked about this subject")
    parser.add_argument("--reason", default="audit", help="why; it is logged")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
