"""Each example runs against a real gateway, as the user that it is written for."""

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from jwcrypto.jwk import JWK
from sd_jwt.verifier import SDJWTVerifier

from gateway.cli.features import build
from gateway.demo.cast import AGENCY, AUDITOR, AUTHORITY, BANK, PARTNER, Player
from gateway.demo.stage import license_player
from gateway.founding import AUTHORITY_KEY
from gateway.inbound.jose import read_keys
from gateway.inbound.presentation import verify
from gateway.inbound.status import Standing, open_list
from gateway.portfolio.definitions import FEATURES
from gateway.registry.act import Act
from tests.conftest import ROOT
from tests.docs.running import Ran, Served, run_python

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def run_example(name: str, served: Served, player: Player, folder: Path, *words: str) -> Ran:
    served.hand_over(player, folder)
    return await run_python(
        str(ROOT / "examples" / name),
        *("--target", served.address, "--cert", "client.pem", "--key", "client.key"),
        *("--ca", "ca.pem", *words),
        cwd=folder,
    )


async def test_an_agency_sees_its_fields_and_keeps_its_receipt(
    served: Served, tmp_path: Path
) -> None:
    ran = await run_example(
        "agency_query.py",
        served,
        AGENCY,
        tmp_path,
        *("--subject", served.company, "--receipt", "receipts"),
    )
    assert ran.code == 0, ran.text
    assert served.company in ran.text
    assert "contact_phone        mask" in ran.text
    assert "rows: 1" in ran.text
    assert (tmp_path / "receipts" / "receipt.tlog-proof").stat().st_size > 0


async def test_an_agency_reads_why_it_was_refused(served: Served, tmp_path: Path) -> None:
    ran = await run_example(
        "agency_query.py",
        served,
        AGENCY,
        tmp_path,
        *("--subject", served.company, "--product", "public_credit_grade", "--field", "grade"),
    )
    assert ran.code == 1, ran.text
    assert "refused: NO_LICENCE" in ran.text
    assert "clause: " in ran.text
    assert "remedy: " in ran.text


async def test_a_bank_reads_its_portfolio(served: Served, tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("\n".join(served.portfolio))
    ran = await run_example(
        "bank_portfolio.py",
        served,
        BANK,
        tmp_path,
        *("--portfolio", "codes.txt", "--out", "grades.parquet"),
    )
    assert ran.code == 0, ran.text
    assert "uscc                 pseudonym" in ran.text
    assert (tmp_path / "grades.parquet").stat().st_size > 0


def grant_features(served: Served) -> None:
    """License the bank for features, and build them once, as the operator does."""
    deployment = served.stage.deployment
    fields = ("uscc", "observed_on", "penalties_12m", "active_licences", "serious_list_hit")
    bank = replace(BANK, key="bank2", grants=((FEATURES, fields),), pseudonymous=frozenset())
    state = deployment.open_state()
    try:
        act = Act(int(time.time()), deployment.settings.node)
        state.run(lambda tx: license_player(deployment, tx, bank, act))
    finally:
        state.close()
    build(None, "", deployment.root, as_json=True)


async def test_a_bank_reads_features_of_its_own_dates(served: Served, tmp_path: Path) -> None:
    await asyncio.to_thread(grant_features, served)
    lines = [f"{code},{day}" for code in served.portfolio for day in ("2026-06-30", "2026-09-30")]
    (tmp_path / "portfolio.csv").write_text("\n".join(["subject,observed_on", *lines]))
    ran = await run_example(
        "bank_features.py",
        served,
        BANK,
        tmp_path,
        *("--portfolio", "portfolio.csv", "--out", "features.parquet"),
    )
    assert ran.code == 0, ran.text
    assert f"observations: {len(lines)}, hit rate: " in ran.text
    assert "(R44)" in ran.text
    table = pq.read_table(tmp_path / "features.parquet")
    assert set(map(str, table["observed_on"].to_pylist())) <= {"2026-06-30", "2026-09-30"}


async def test_a_bank_reads_why_it_was_refused(served: Served, tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("\n".join(served.portfolio))
    ran = await run_example(
        "bank_portfolio.py",
        served,
        BANK,
        tmp_path,
        *("--portfolio", "codes.txt", "--purpose", "MARKETING"),
    )
    assert ran.code == 1, ran.text
    assert "OUT_OF_SCOPE" in ran.text


async def test_a_bank_asks_in_sql(served: Served, tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("\n".join(served.portfolio))
    ran = await run_example("bank_sql.py", served, BANK, tmp_path, "--portfolio", "codes.txt")
    assert ran.code == 0, ran.text
    assert f"asked about {len(served.portfolio)}, rows: " in ran.text
    assert "\ngrade " in ran.text


async def test_a_bank_reads_why_its_sql_was_refused(served: Served, tmp_path: Path) -> None:
    (tmp_path / "codes.txt").write_text("\n".join(served.portfolio))
    ran = await run_example(
        "bank_sql.py",
        served,
        BANK,
        tmp_path,
        *("--portfolio", "codes.txt", "--purpose", "MARKETING"),
    )
    assert ran.code == 1, ran.text
    assert "OUT_OF_SCOPE" in ran.text


async def test_a_partner_gets_what_may_cross(served: Served, tmp_path: Path) -> None:
    ran = await run_example(
        "partner_query.py", served, PARTNER, tmp_path, "--subject", served.company
    )
    assert ran.code == 0, ran.text
    assert "would be answered" in ran.text
    assert "registered_capital   generalise" in ran.text
    assert "legal_rep_name       drop       (does not cross)" in ran.text


async def test_an_auditor_checks_a_receipt_and_refuses_a_changed_one(
    served: Served, tmp_path: Path
) -> None:
    subject = served.codes[1]
    await run_example(
        "agency_query.py",
        served,
        AGENCY,
        tmp_path / "agency",
        *("--subject", subject, "--receipt", "../auditor"),
    )
    folder = tmp_path / "auditor"
    words = (
        *("--vkey", served.stage.deployment.log_vkey, "--proof", "receipt.tlog-proof"),
        *("--entry", "receipt.json", "--subject", subject, "--reason", "complaint"),
    )
    ran = await run_example("auditor_receipt.py", served, AUDITOR, folder, *words)
    assert ran.code == 0, ran.text
    assert "the gateway shows the same entry" in ran.text
    assert AGENCY.party_id in ran.text
    entry = folder / "receipt.json"
    entry.write_bytes(entry.read_bytes().replace(b"CREDIT_REPORT", b"CREDIT_CHECK_"))
    ran = await run_example("auditor_receipt.py", served, AUDITOR, folder, *words)
    assert ran.code == 1, ran.text
    assert "the receipt does not hold" in ran.text


async def test_a_receiver_purges_what_the_authority_repairs(served: Served, tmp_path: Path) -> None:
    snapshot = served.stage.loaded["admin_penalty"].snapshot
    rows = snapshot.locate([served.stage.population.penalised])
    rows = rows[snapshot.shareable(rows, int(time.time()))]
    (record,) = snapshot.take(rows[:1], ["record_id"]).column(0).to_pylist()
    store = ("--store", "received.parquet")
    subject = ("--subject", served.stage.population.penalised)
    folder = tmp_path / "agency"
    ran = await run_example(
        "recipient_recall.py", served, AGENCY, folder, *store, "--fetch", *subject
    )
    assert ran.code == 0, ran.text
    assert f"received {len(rows)} row(s)" in ran.text
    decide = (
        *("--signing-key", str(served.stage.deployment.dev_authority / AUTHORITY_KEY)),
        *("--product", "admin_penalty", "--unit", "11460099000000043A", "--record", record),
    )
    words = (*decide, "--sequence", "1")
    ran = await run_example("authority_repair.py", served, AUTHORITY, tmp_path, *words)
    assert ran.code == 0, ran.text
    assert "REPAIRED in entry" in ran.text
    ran = await run_example("recipient_recall.py", served, AGENCY, folder, *store, "--once")
    assert ran.code == 0, ran.text
    assert "purged 1 row(s); acknowledged in entry" in ran.text
    assert pq.read_table(folder / "received.parquet").num_rows == len(rows) - 1
    words = (*decide, "--sequence", "1", "--verdict", "WITHDRAWN")
    ran = await run_example("authority_repair.py", served, AUTHORITY, tmp_path, *words)
    assert ran.code == 1, ran.text
    assert "refused: " in ran.text


async def test_a_bureau_abroad_makes_documents_that_two_verifiers_believe(tmp_path: Path) -> None:
    script = str(ROOT / "examples" / "foreign_bureau.py")
    ran = await run_python(script, "made", cwd=tmp_path)
    assert ran.code == 0, ran.text
    made = tmp_path / "made"
    document = (made / "credential.sdjwt").read_text("ascii")
    (jwk,) = json.loads((made / "bureau.json").read_text("utf-8"))["keys"]
    assert "d" not in jwk
    now = int(time.time())
    keys = read_keys([jwk])
    assert verify(document, keys, now).claims["lei"] == "46009900SYNTHETIC053"
    foreign = SDJWTVerifier(document, lambda *_: JWK(**jwk))
    assert foreign.get_verified_payload()["rating"] == "B1"
    for ended, standing in ((False, Standing.VALID), (True, Standing.INVALID)):
        again = await run_python(script, "made", *(["--end"] if ended else []), cwd=tmp_path)
        assert again.code == 0, again.text
        token = (made / "status.jwt").read_text("ascii")
        found = open_list(token, keys, now + 1, max_age_s=86_400)
        assert found.at(4_711) is standing
        assert found.at(4_712) is Standing.VALID
    assert (made / "key.json").stat().st_mode & 0o777 == 0o600
