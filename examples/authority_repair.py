"""The authority signs a decision about a record and publishes it; it holds when this returns.

    python examples/authority_repair.py --target localhost:8443 --cert client.pem --key client.key \
        --ca ca.pem --signing-key authority.key --product admin_penalty --record REC-1 \
        --unit 11460099000000043A --verdict APPROVED --sequence 1

The signing key (Ed25519) is the authority's own and never the gateway's; in production it lies on
another machine, and what is signed there is published from here.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from joserfc import jws
from joserfc.jwk import OKPKey

from xinguan.client import Identity, RefusedError, SyncClient


def main() -> int:
    """Sign, publish, and say what came of it."""
    words = _arguments()
    claims = {
        "repair_id": f"decision-{words.unit[-6:]}-{words.sequence:06d}",
        "origin": words.origin,
        "sequence": words.sequence,
        "product": words.product,
        "record_id": words.record,
        "verdict": words.verdict,
        "deciding_unit": words.unit,
        "decided_at": int(time.time()),
    }
    key = OKPKey.import_key(words.signing_key.read_bytes())
    header = {"alg": "Ed25519", "kid": key.thumbprint(), "typ": "xinguan-repair+jwt"}
    registry = jws.JWSRegistry(algorithms=["Ed25519"])
    decision = jws.serialize_compact(header, json.dumps(claims).encode(), key, registry=registry)
    identity = Identity.load(words.cert, words.key, words.ca)
    with SyncClient(words.target, identity) as gateway:
        try:
            done = gateway.publish_repair(decision)
        except RefusedError as refusal:
            print(f"refused: {refusal.code}: {refusal.message}")
            return 1
    print(f"{done.state} in entry {done.entry.index}; withheld: {done.withheld}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--target", required=True, help="host:port of the gateway")
    parser.add_argument("--cert", required=True, type=Path, help="certificate, PEM")
    parser.add_argument("--key", required=True, type=Path, help="its private key, PEM")
    parser.add_argument("--ca", required=True, type=Path, help="the gateway's authority, PEM")
    parser.add_argument("--signing-key", required=True, type=Path, help="Ed25519 key, PEM")
    parser.add_argument("--product", required=True)
    parser.add_argument("--record", required=True, help="the record's id at its source")
    parser.add_argument("--unit", required=True, help="USCC of the deciding unit")
    parser.add_argument("--verdict", default="APPROVED")
    parser.add_argument("--origin", default="AUTHORITY")
    parser.add_argument("--sequence", required=True, type=int, help="rises with each decision")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
