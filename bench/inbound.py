"""Documents from abroad: what checking one costs, a large status list, and an admission.

    python -m bench.inbound [--documents 200] [--json]

A document is an SD-JWT VC (ES256, five disclosures) made by the `sd-jwt` library, which is also
the baseline: its own verifier on the same document, which looks at signature and disclosures only.
An admission is everything: check, status, one durable transaction and log entry for each document,
and the snapshot that is served afterwards.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sd_jwt.verifier import SDJWTVerifier

from audit.openings import OpeningStore
from bench.machine import machine
from bench.table import Row, print_rows
from gateway.cli.console import Session
from gateway.cli.repair_parts import parts_of
from gateway.demo.stage import make_deployment
from gateway.domain.foreign import FOREIGN_PRODUCT
from gateway.founding import AUTHORITY_KEY
from gateway.identity.keyfiles import read_document_key
from gateway.inbound.checking import Checker
from gateway.inbound.desk import Desk
from gateway.inbound.given_lists import GivenLists
from gateway.inbound.jose import read_keys
from gateway.inbound.outcomes import Admitted, Handed
from gateway.inbound.status import open_list
from gateway.inbound.vault import Vault
from gateway.registry import issuers
from gateway.registry.act import Act
from gateway.registry.catalogue import Catalogue
from gateway.registry.documents import sign
from gateway.registry.issuer_claims import ISSUER_TYPE
from gateway.registry.issuers import Registration
from tests.gateway.inbound.abroad import Issuer

_SECONDS = 2.0
_MILLION = 1_048_576


def per_second(work: Callable[[], object]) -> float:
    """Return how often a piece of work is done in a second."""
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        work()
        count += 1
    return count / (time.perf_counter() - began)


def synthetic_lei(number: int) -> str:
    """Return a well-formed LEI under an unassigned prefix."""
    from stdnum.iso7064 import mod_97_10

    base = f"46009900{number:010d}"
    return base + str(mod_97_10.calc_check_digits(base))


def checks(bureau: Issuer) -> list[Row]:
    """Measure single documents and lists, without a state."""
    document = bureau.credential()
    registration = Registration(bureau.registration(), "bench", approved_index=1, index=0)
    register = {bureau.issuer: registration}.get
    checker = Checker(register, GivenLists([bureau.status_list()]))

    def whole() -> None:
        checker.status(checker.document(document, bureau.now), bureau.now)

    ours = per_second(whole)
    theirs = per_second(lambda: SDJWTVerifier(document, lambda *_: bureau.key))
    big = Issuer(now=bureau.now, bits=1, entries=bytearray(_MILLION // 8))
    for place in range(0, _MILLION // 8, 7):
        big.entries[place] = place % 251
    token, keys = big.status_list(), read_keys([big.public()])
    opened = per_second(lambda: open_list(token, keys, big.now, max_age_s=86_400))
    return [
        Row("document checked", 1000 / ours, "ms", "", f"sd-jwt's verifier {1000 / theirs:.2f} ms"),
        Row("list of 1,048,576 entries", 1000 / opened, "ms", "", f"{len(token):,} bytes"),
    ]


async def admission(bureau: Issuer, count: int, root: Path) -> Row:
    """Measure an admission from documents to a served snapshot."""
    deployment = make_deployment(root, bureau.now)
    state = deployment.open_state()
    try:
        act = Act(bureau.now, deployment.settings.node)
        key = read_document_key(deployment.dev_authority / AUTHORITY_KEY)
        signed = sign(bureau.registration(), key, ISSUER_TYPE)
        known = deployment.authority_keys().get
        state.run(lambda tx: issuers.register_signed(tx, signed, act, authority_key=known))
        handed = [
            Handed(
                str(number),
                bureau.credential(bureau.claims(lei=synthetic_lei(number), uen=None, index=number)),
            )
            for number in range(count)
        ]
        lists = GivenLists([bureau.status_list()])
        parts = parts_of(Session(deployment, state, act))
        desk = Desk(
            state=state,
            library=parts.library,
            publisher=parts.publisher,
            openings=OpeningStore(deployment.secrets().opening_key),
            vault=Vault(deployment.secrets().opening_key),
            product=Catalogue.load().product(FOREIGN_PRODUCT),
            unit="bench",
            folder=deployment.directory / "inbound",
        )
        began = time.perf_counter()
        done: Admitted = await desk.admit(handed, lambda register: Checker(register, lists), act)
        took = time.perf_counter() - began
        await parts.delays.close()
        assert done.loaded is not None
        assert done.loaded.snapshot.manifest.rows == count
        return Row("documents admitted", count / took, "/s", "", f"{count} in {took:.2f} s")
    finally:
        state.close()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.inbound", description=__doc__)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    bureau = Issuer(now=int(time.time()))
    rows = checks(bureau)
    with tempfile.TemporaryDirectory() as folder:
        rows.append(asyncio.run(admission(bureau, given.documents, Path(folder) / "home")))
    where = machine()
    if given.json:
        told = [
            {"name": row.name, "value": row.value, "unit": row.unit, "beside": row.beside}
            for row in rows
        ]
        print(json.dumps({"machine": where, "rows": told}, ensure_ascii=False))
    else:
        print(f"inbound: {where['text']}")
        print_rows(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
