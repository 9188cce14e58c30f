import pytest

from gateway.border.counters import ExportCounters
from gateway.border.counters_declared import DECLARATION_TYPE, DeclarationClaims
from gateway.border.counters_items import persons_of
from gateway.border.counters_law import CountClass, CountLaw, export_year
from gateway.border.counters_tags import Tagger
from gateway.cli.console import now
from gateway.deployment import Deployment
from gateway.identity.keyfiles import read_document_key
from gateway.registry.documents import sign
from tests.gateway.border.counters.test_books import stated
from tests.simulator import uscc

EXPORTER = f"uscc:{uscc(1)}"


@pytest.fixture
def key(xinguan, tmp_path):
    xinguan.do("party", "add", uscc(1), "--name", "A", "--role", "AGENCY", "--no-certificate")
    xinguan.do("party", "key", "issue", uscc(1), "--out", tmp_path / "agency")
    return tmp_path / "agency" / "document.key"


def declare(xinguan, key, persons, kind="sensitive"):
    words = ("--exporter", uscc(1), "--class", kind, "--persons", persons, "--key", key)
    return xinguan.do("export", "declare", *words)


def test_a_declaration_is_added_alarmed_and_replaced(xinguan, key) -> None:
    assert xinguan.do("export", "status") == []
    first = declare(xinguan, key, 9_100)
    assert (first["exporter"], first["kind"], first["version"]) == (EXPORTER, "sensitive", 1)
    assert xinguan.entry(first["entry"])["kind"] == "export_declared"
    (count,) = xinguan.do("export", "status", "--exporter", uscc(1))
    assert (count["own"], count["declared"], count["total"]) == (0, 9_100, 9_100)
    near = {each["threshold"]: each for each in count["thresholds"]}
    assert (near[10_000]["per_cent"], near[10_000]["alarms"]) == (91, [80, 90])
    alarms = {row["code"] for row in xinguan.do("repair", "alarms")}
    assert alarms == {"EXPORT_SENSITIVE_10000_80", "EXPORT_SENSITIVE_10000_90"}
    assert declare(xinguan, key, 9_200)["version"] == 2
    assert xinguan.do("export", "status")[0]["total"] == 9_200
    shown = xinguan("export", "status")
    assert shown.code == 0
    assert "92 %" in shown.out


def test_a_document_signed_elsewhere_is_the_exporters_or_nobodys(xinguan, key, tmp_path) -> None:
    year, at = export_year(now()), now() - 60
    claims = DeclarationClaims(
        exporter=EXPORTER, year=year, kind="ordinary", version=1, persons=5, as_of=at
    )
    document = tmp_path / "declaration.jws"
    document.write_text(sign(claims, read_document_key(key), DECLARATION_TYPE))
    for more in (
        *(("--exporter", uscc(1)), ("--class", "ordinary"), ("--persons", 0)),
        ("--as-of", "2026-01-01"),
    ):
        assert xinguan("export", "declare", "--document", document, *more).code == 2
        assert xinguan.do("export", "status") == []
    assert xinguan.do("export", "declare", "--document", document)["persons"] == 5
    assert xinguan.refuse("export", "declare", "--document", document) == "CONFLICT"
    other = stated(exporter=f"uscc:{uscc(2)}", year=year, as_of=at)
    document.write_text(sign(other, read_document_key(key), DECLARATION_TYPE))
    assert xinguan.refuse("export", "declare", "--document", document) == "ROLE_FORBIDDEN"
    document.write_text("nonsense")
    assert xinguan.refuse("export", "declare", "--document", document) == "BAD_DOCUMENT"
    assert xinguan("export", "declare").code == 2
    assert xinguan("export", "declare", "--key", key, "--exporter", uscc(1)).code == 2


def test_the_annex_and_what_is_without_an_outcome(xinguan, key) -> None:
    declare(xinguan, key, 3)
    deployment = Deployment.open(xinguan.home)
    state = deployment.open_state()
    tagger, law = Tagger(deployment.secrets().export_key), CountLaw.load()
    counts = ExportCounters(state.connect(), law, tagger, node="n")
    year = export_year(now())
    persons = persons_of(EXPORTER, year, [CountClass.SENSITIVE], [tagger.tag(EXPORTER, year, "p")])

    def crash(tx) -> int:
        """Leave an intent behind, as a killed process of another node does."""
        from audit import acts
        from gateway.border.counters_items import Reservation
        from gateway.border.counters_law import Ceilings

        index = tx.append(acts.node_stopped(time=now(), node="node-9", reason="x")).index
        wanted = Reservation(EXPORTER, year, persons, Ceilings(), now(), "node-9", "reg:SG:A")
        counts.ledger.post(tx, [(wanted, index)])
        tx.execute(
            "INSERT INTO exports (intent, begun_at, exporter, year, party, country, product,"
            " purpose, fields, mechanism, mechanism_kind, basis, whitelist, ordinary, sensitive)"
            " VALUES (?, ?, ?, ?, 'reg:SG:A', 'SG', 'p', 'TRADE', '[\"f\"]', 'SCC-1', 'SCC', '',"
            " 1, 0, 1)",
            (index, now(), EXPORTER, year),
        )
        return index

    intent = state.run(crash)
    counts.close()
    state.close()
    (row,) = xinguan.do("export", "reconcile")
    assert (row["intent"], row["node"], row["persons"]) == (intent, "node-9", 1)
    annex = xinguan.do("export", "report", "--year", year)
    (told,) = annex["exporters"]
    assert (told["without_outcome"], told["lines"]) == (1, [])
    assert annex["log_entries"] > intent
    settle = ("export", "reconcile", "--node", "node-9", "--reason", "the machine is gone")
    assert xinguan.do(*settle) == {"node": "node-9", "released": [intent], "sent": []}
    assert xinguan.do("export", "reconcile") == []
    (told,) = xinguan.do("export", "report")["exporters"]
    assert (told["without_outcome"], told["nothing_left"]) == (0, 1)
    assert told["counts"][0]["total"] == 3
    shown = xinguan("export", "report")
    assert (shown.code, "nothing left" in shown.out) == (0, True)
    assert "none" in xinguan("export", "report", "--year", 2020).out


def test_a_node_that_serves_settles_its_own(xinguan, key) -> None:
    deployment = Deployment.open(xinguan.home)
    state = deployment.open_state()
    state.run(
        lambda tx: tx.execute(
            "INSERT INTO node_leases (node, holder, place, token, beat, term_ms, applied)"
            " VALUES ('node-1.1', 'h', 'p', 1, 1, 1000, 0)"
        )
    )
    state.close()
    assert xinguan.refuse("export", "reconcile", "--node", "node-1") == "CONFLICT"
    gone = xinguan.do("export", "reconcile", "--node", "node-2", "--reason", "gone")
    assert gone == {"node": "node-2", "released": [], "sent": []}
