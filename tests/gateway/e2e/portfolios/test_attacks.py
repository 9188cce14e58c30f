"""A bank that may see pseudonyms only tries to find out which of them is a firm it knows."""

import pytest
import pytest_asyncio

from tests.gateway.e2e.portfolios.uploading import (
    PRODUCT,
    ask,
    exchange,
    graded,
    subjects_table,
    upload,
)
from tests.gateway.e2e.serving import Member, Site, uscc
from tests.gateway.e2e.test_features import WORDS
from tests.gateway.e2e.test_flight import (
    GRADE_FIELDS,
    descriptor,
    make_bank,
    plan,
    read,
    refused_in_words,
)
from tests.gateway.e2e.wire import refused
from xinguan.client import Answer

pytestmark = pytest.mark.asyncio(loop_scope="session")

MINIMUM = 10  # of `make_bank`
FAKES = [uscc(800_000 + number) for number in range(200)]


@pytest.fixture
def bank(wide) -> Member:
    return make_bank(wide)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shown(wide) -> list[str]:
    """The organisations that have something to show, as a bank sees them that may see codes."""
    got = await about(wide, make_bank(wide, pseudonymous=False), graded(wide))
    return sorted(set(got["uscc"].to_pylist()))


async def about(site: Site, who: Member, subjects):
    receipt = await upload(site, who.identity, subjects_table(subjects))
    return await ask(site, who.identity, receipt.portfolio)


async def test_padding_does_not_make_a_portfolio_larger(wide, bank, shown):
    victim = shown[0]
    for padding in (FAKES[:9], FAKES):
        call = about(wide, bank, [victim, *padding])
        await refused_in_words(wide, call, "PORTFOLIO_TOO_SMALL")
    # Neither does it for subjects named in a query, nor in an exchange.
    call = wide.query(bank, PRODUCT, list(GRADE_FIELDS), subjects=[victim, *FAKES[:40]], **WORDS)
    await refused(wide, call, "PORTFOLIO_TOO_SMALL", "PERMISSION_DENIED")
    wanted = descriptor(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    call = exchange(wide, bank.identity, wanted, subjects_table([victim, *FAKES]))
    await refused_in_words(wide, call, "PORTFOLIO_TOO_SMALL")
    assert (await about(wide, bank, [*shown[:MINIMUM], *FAKES])).num_rows >= MINIMUM


async def test_a_subject_that_is_named_twice_counts_once(wide, bank, shown):
    some = shown[: MINIMUM - 1]
    call = wide.query(bank, PRODUCT, list(GRADE_FIELDS), subjects=some * 3, **WORDS)
    await refused(wide, call, "PORTFOLIO_TOO_SMALL", "PERMISSION_DENIED")
    call = upload(wide, bank.identity, subjects_table(some * 3))
    await refused_in_words(wide, call, "BAD_PORTFOLIO")


async def test_a_withheld_record_counts_like_one_that_never_was(wide, shown):
    """The refusal is the same, and so is what the log says of it."""
    nine, tenth = shown[20 : 20 + MINIMUM - 1], shown[40]
    snapshot = wide.world.library.current(PRODUCT)
    told = []
    for missing in (FAKES[0], tenth):
        snapshot.withhold(snapshot.locate([tenth]))
        try:
            bank = make_bank(wide)
            before = len(wide.entries())
            told.append(
                await refused_in_words(
                    wide, about(wide, bank, [*nine, missing]), "PORTFOLIO_TOO_SMALL"
                )
            )
            (entry,) = [e for e in wide.entries()[before:] if e["kind"] == "denial"]
            told.append((entry["subject_count"], entry["input"], entry["reasons"]))
        finally:
            snapshot.restore_all()
    assert told[0] == told[2]
    assert told[1][0] == told[3][0]
    assert told[1][2] == told[3][2]


async def test_portfolios_that_differ_by_one_are_refused_both_ways(wide, bank, shown):
    some = shown[:60]
    first = await about(wide, bank, some[:30])
    await refused_in_words(wide, about(wide, bank, some[:31]), "PORTFOLIO_OVERLAP")
    await refused_in_words(wide, about(wide, bank, some[:29]), "PORTFOLIO_OVERLAP")
    swapped = [*some[:29], some[30]]
    await refused_in_words(wide, about(wide, bank, swapped), "PORTFOLIO_OVERLAP")
    # The same portfolio, with or without codes that nobody has, is no other portfolio.
    again = await about(wide, bank, [*some[:30], *FAKES[:7]])
    assert sorted(again["uscc"].to_pylist()) == sorted(first["uscc"].to_pylist())
    # Enough new ones at once hide each other.
    wider = await about(wide, bank, some[:45])
    assert len(set(wider["uscc"].to_pylist()) - set(first["uscc"].to_pylist())) >= MINIMUM
    # A query with named subjects goes the same road, and Explain tells of it.
    words = {"subjects": some[:46], **WORDS}
    call = wide.query(bank, PRODUCT, list(GRADE_FIELDS), **words)
    await refused(wide, call, "PORTFOLIO_OVERLAP", "PERMISSION_DENIED")
    same = await wide.query(bank, PRODUCT, list(GRADE_FIELDS), subjects=some[:45], **WORDS)
    assert len(Answer(same).rows()) == wider.num_rows


async def test_halves_of_halves_end_at_the_minimum(wide, bank, shown):
    some = shown[:48]
    await about(wide, bank, some)
    await about(wide, bank, some[:24])  # groups of 24
    await about(wide, bank, [*some[12:24], *some[36:48]])  # groups of 12
    call = about(wide, bank, [*some[6:12], *some[18:24], *some[30:36], *some[42:48]])
    await refused_in_words(wide, call, "PORTFOLIO_OVERLAP")


async def test_all_but_one_is_told_apart_from_the_whole_product(wide, bank, shown):
    everybody = shown
    call = about(wide, bank, everybody[1:])
    await refused_in_words(wide, call, "PORTFOLIO_OVERLAP")
    await about(wide, bank, everybody[: -2 * MINIMUM])
    info = await plan(wide, bank.identity, PRODUCT, GRADE_FIELDS)
    parts = [await read(wide, bank.identity, end.ticket) for end in info.endpoints]
    assert len({c for p in parts for b in p.batches for c in b["uscc"].to_pylist()}) == len(
        everybody
    )


async def test_what_is_kept_of_portfolios_names_nobody(wide, bank, shown):
    some = shown[:30]
    got = await about(wide, bank, some)
    reader = wide.desk.state.connect()
    try:
        rows = reader.execute(
            "SELECT sealed FROM portfolio_groups WHERE party_id = ?", (bank.party_id,)
        ).fetchall()
    finally:
        reader.close()
    (sealed,) = (bytes(row[0]) for row in rows)
    assert not any(code.encode() in sealed for code in [*some, *got["uscc"].to_pylist()])


async def test_banks_do_not_stand_in_each_others_way(wide, bank, shown):
    some = shown[:30]
    await about(wide, bank, some)
    assert (await about(wide, make_bank(wide), some[:-1])).num_rows


async def test_a_bank_that_sees_codes_asks_as_it_likes(wide, shown):
    clear = make_bank(wide, pseudonymous=False)
    some = shown[:30]
    await about(wide, clear, some)
    assert (await about(wide, clear, some[:-1])).num_rows
