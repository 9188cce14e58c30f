"""Issued reports on both stores: what the register keeps, and what turns them to REFRESH."""

import hashlib
import re

import pytest

from gateway.recognition import reports
from tests.simulator import NOW, uscc

DOCUMENT = b'{"report_no": "XG-1"}'
FIRM, KEY, DAY_S = uscc(900), b"k" * 32, 86_400
SECTIONS = {"legal_entity_base": "aa" * 32, "admin_penalty": "bb" * 32}


@pytest.fixture
def issued(world):
    digests = reports.digests(DOCUMENT)
    number = reports.new_number()
    world.run(
        lambda tx: reports.issue(
            tx,
            report_no=number,
            subject=FIRM,
            tags={name: reports.tag(KEY, number, name, each) for name, each in digests.items()},
            sections=SECTIONS,
            intents=(),
            valid_until=NOW + DAY_S,
            act=world.act,
        )
    )
    return number


def stand(world, number, at=NOW, current=SECTIONS.get):
    reader = world.state.connect()
    try:
        return reports.standing(reader, number, at, current)
    finally:
        reader.close()


def test_digests_are_the_plain_ones():
    assert reports.digests(DOCUMENT)["sha256"] == hashlib.sha256(DOCUMENT).digest()
    # GB/T 32905-2016, example 1.
    abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    assert reports.digests(b"abc")["sm3"].hex() == abc


def test_numbers_are_long_and_never_twice():
    numbers = {reports.new_number() for _ in range(1000)}
    assert len(numbers) == 1000
    assert all(re.fullmatch(r"XG-[0-9A-HJKMNP-TV-Z]{20}", number) for number in numbers)


def test_the_register_keeps_no_digest_and_the_log_no_subject(world, issued):
    stored = world.stored()
    for name, digest in reports.digests(DOCUMENT).items():
        assert digest.hex().encode() not in stored
        assert reports.tag(KEY, issued, name, digest).encode() in stored
    entry = world.entries()[-1]
    assert (entry["kind"], entry["report"]) == ("report_issued", issued)
    assert FIRM not in str(entry)


def test_tags_are_of_one_report_one_algorithm_and_one_key():
    digest = bytes(32)
    found = {
        reports.tag(key, number, name, digest)
        for key in (KEY, b"l" * 32)
        for number in ("XG-1", "XG-2")
        for name in ("sha256", "sm3")
    }
    assert len(found) == 8


def test_a_report_is_valid_until_its_time_is_over(world, issued):
    assert stand(world, issued).status == reports.VALID
    assert stand(world, issued, NOW + DAY_S - 1).status == reports.VALID
    assert stand(world, issued, NOW + DAY_S).status == reports.REFRESH
    assert stand(world, "XG-OTHER") is None


@pytest.mark.parametrize("product", SECTIONS)
def test_a_newer_snapshot_of_any_section_refreshes_it(world, issued, product):
    newer = SECTIONS | {product: "cc" * 32}
    assert stand(world, issued, current=newer.get).status == reports.REFRESH
    without = {name: each for name, each in SECTIONS.items() if name != product}
    assert stand(world, issued, current=without.get).status == reports.REFRESH


def test_a_decision_refreshes_what_shows_its_product_about_its_subject(world, issued):
    for subject, products in ((uscc(901), ["admin_penalty"]), (FIRM, ["admin_licence"])):
        world.run(lambda tx, s=subject, p=products: reports.refresh(tx, s, p, NOW))
        assert stand(world, issued).status == reports.VALID
    world.run(lambda tx: reports.refresh(tx, FIRM, ["admin_licence", "admin_penalty"], NOW))
    assert stand(world, issued).status == reports.REFRESH


def test_a_refresh_that_is_taken_back_did_not_happen(world, issued):
    def job(tx):
        reports.refresh(tx, FIRM, ["admin_penalty"], NOW)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        world.run(job)
    assert stand(world, issued).status == reports.VALID
