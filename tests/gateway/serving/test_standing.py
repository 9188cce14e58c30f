import pyarrow as pa
import pytest

from gateway.serving import standing
from gateway.serving.standing import sealed_keys
from tests.stores import Place

KEYS = ["", " ", "乙-1", "乙-2", "a,b", "r01", "r02", "r03", "r\n4", "z'5"]


def sealed(place: Place, keys, product="penalty"):
    state = place.state()

    def job(tx) -> None:
        for key in keys:
            tx.execute(
                "INSERT INTO sealed_records (product, record_key, state, repair_id)"
                " VALUES (?, ?, 'REPAIRED', 'd-1')",
                (product, key),
            )

    state.run(job)
    return state


def texts(pages):
    return [
        key for page in pages for key in (page.to_pylist() if isinstance(page, pa.Array) else page)
    ]


@pytest.mark.rule("R27", "effect")
@pytest.mark.parametrize("size", [1, 2, 3, len(KEYS) - 1, len(KEYS), 1000])
def test_every_sealed_record_is_read_whatever_a_page_holds(
    place: Place, monkeypatch: pytest.MonkeyPatch, size
) -> None:
    monkeypatch.setattr(standing, "_SEALED_PAGE", size)
    state = sealed(place, [*KEYS, "x" * 256])
    found = texts(sealed_keys(state, "penalty"))
    # An empty key is of no record: admission refuses it, so none can be withheld by it.
    assert sorted(found) == sorted([*KEYS[1:], "x" * 256])
    assert texts(sealed_keys(state, "other")) == []
    state.close()


@pytest.mark.parametrize("size", [2, 1000])
def test_a_key_that_holds_the_separator_is_read_exactly(
    place: Place, monkeypatch: pytest.MonkeyPatch, size
) -> None:
    monkeypatch.setattr(standing, "_SEALED_PAGE", size)
    keys = ["a", "a\x1fb", "b", "\x1f", "c"]
    state = sealed(place, keys)
    assert sorted(texts(sealed_keys(state, "penalty"))) == sorted(keys)
    state.close()


def test_another_products_records_are_not_read(place: Place) -> None:
    sealed(place, ["r01"], "other").close()
    state = sealed(place, ["r02"])
    assert texts(sealed_keys(state, "penalty")) == ["r02"]
    state.close()
