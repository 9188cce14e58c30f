"""A deterministic population of synthetic subjects with records of every schema A to L.

For demonstrations (200 companies) and for benchmarks (10 M records): rows are made and
written in chunks, so that memory does not grow with their number, and each value depends on
the seed and its row alone, so that the same seed gives the same bytes.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gateway.domain.product import Product
from gateway.ingest.content_hash import content_hashes
from gateway.ingest.synth_chunk import CLEAN, PENALISED, Chunk, Columns
from gateway.ingest.synth_organisations import (
    admin_licence,
    admin_penalty,
    contract_performance,
    credit_commitment,
    credit_repair_decision,
    legal_entity_base,
    public_credit_grade,
    self_declared_info,
)
from gateway.ingest.synth_persons import (
    golden_coconut_score,
    judgement_debtor,
    port_clearance_credit,
    serious_dishonesty_list,
)
from gateway.ingest.synth_population import Population
from gateway.registry.arrow_schema import arrow_schema
from gateway.registry.catalogue import Catalogue
from gateway.registry.periods import lawful_periods

# 2026-11-24 00:00 in Asia/Shanghai; a caller who wants current periods gives its own time.
DEFAULT_AS_OF = 1_795_449_600
MIN_COMPANIES = 10
CHUNK_ROWS = 1 << 16

# Checksums of pages let the reader notice a damaged file.
_PARQUET: Mapping[str, Any] = MappingProxyType(
    {"compression": "zstd", "compression_level": 1, "write_page_checksum": True}
)

Maker = Callable[[Chunk], Columns]
_MAKERS: Mapping[str, Maker] = MappingProxyType(
    {
        maker.__name__: maker
        for maker in (
            legal_entity_base,
            admin_licence,
            admin_penalty,
            serious_dishonesty_list,
            judgement_debtor,
            contract_performance,
            credit_commitment,
            public_credit_grade,
            golden_coconut_score,
            credit_repair_decision,
            self_declared_info,
            port_clearance_credit,
        )
    }
)
PRODUCTS = tuple(_MAKERS)


class SynthError(ValueError):
    """What was asked for can't be made."""


@dataclass(frozen=True, slots=True)
class SynthFile:
    """One Parquet file that was written: its path, its rows, its size in bytes."""

    path: Path
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class SynthReport:
    """What was made.

    Args:
        files: Product name to its file.
        companies: Number of organisations.
        persons: Number of natural persons.
        as_of: Moment at which states and periods are right, unix seconds.
        penalised: Code of the organisation whose penalty is public and ripe for repair.
        clean: Code of an organisation without any adverse record.
        sample: Codes of the first ten organisations, all of them companies.
        person: Token of one person.
    """

    files: Mapping[str, SynthFile]
    companies: int
    persons: int
    as_of: int
    penalised: str
    clean: str
    sample: tuple[str, ...]
    person: str


def synthesise(
    out_dir: Path,
    *,
    companies: int = 200,
    seed: int = 1,
    products: Collection[str] = PRODUCTS,
    rows_per_product: int | Mapping[str, int] | None = None,
    as_of: int = DEFAULT_AS_OF,
    catalogue: Catalogue | None = None,
) -> SynthReport:
    """Write one Parquet file for each product and return what was written.

    Args:
        out_dir: Directory, made if missing; files are `<product>.parquet`.
        companies: Number of organisations, at least 10.
        seed: Same seed and arguments, same bytes.
        products: Names of the products wanted.
        rows_per_product: Rows of each product, or for single ones by name; by default as many
            as there are organisations (golden_coconut_score: persons; port_clearance_credit:
            both together). `legal_entity_base` has always one for each organisation.
        as_of: Moment at which states and periods are right, unix seconds.
        catalogue: Contracts; by default those that ship with the policies.

    Returns:
        The files, and subjects that a demonstration can rely on.

    Raises:
        SynthError: For fewer than ten companies, an unknown product or a negative number.
        OSError: When a file can't be written; a file half written is removed.
    """
    if companies < MIN_COMPANIES:
        raise SynthError(f"at least {MIN_COMPANIES} companies are needed")
    contracts = catalogue or Catalogue.load()
    population = Population(seed, companies, max(companies // 2, MIN_COMPANIES))
    out_dir.mkdir(parents=True, exist_ok=True)
    plan = {name: _rows(name, population, rows_per_product) for name in products}
    files = {
        name: _write(out_dir, contracts, contracts.product(name), population, rows, as_of)
        for name, rows in plan.items()
    }
    sample = population.usccs(np.arange(MIN_COMPANIES)).to_pylist()
    return SynthReport(
        files=MappingProxyType(files),
        companies=companies,
        persons=population.persons,
        as_of=as_of,
        penalised=str(sample[PENALISED]),
        clean=str(sample[CLEAN]),
        sample=tuple(str(code) for code in sample),
        person=str(population.person_tokens(np.zeros(1, np.int64))[0]),
    )


def _rows(name: str, population: Population, asked: int | Mapping[str, int] | None) -> int:
    if name not in _MAKERS:
        raise SynthError("there is no such product to synthesise")
    default = population.companies
    if name == "golden_coconut_score":
        default = population.persons
    elif name == "port_clearance_credit":  # all organisations, then persons among the rest
        default += population.persons
    if name == "legal_entity_base" or asked is None:
        return default
    rows = asked if isinstance(asked, int) else asked.get(name, default)
    if rows < 0:
        raise SynthError("a number of rows can't be negative")
    return rows


def _write(
    out_dir: Path,
    catalogue: Catalogue,
    product: Product,
    population: Population,
    total: int,
    as_of: int,
) -> SynthFile:
    """Write one product under a temporary name, then give it its own."""
    path = out_dir / f"{product.name}.parquet"
    partial = path.with_suffix(".parquet.partial")
    schema = arrow_schema(product)
    unit = (product.manager_uscc, catalogue.unit(product.manager_uscc).name_zh)
    try:
        with pq.ParquetWriter(partial, schema, **_PARQUET) as writer:
            for start in range(0, total, CHUNK_ROWS):
                rows = np.arange(start, min(start + CHUNK_ROWS, total))
                chunk = Chunk(product, population, rows, total, as_of, unit, lawful_periods())
                writer.write_batch(_batch(schema, chunk))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return SynthFile(path, total, path.stat().st_size)


def _batch(schema: pa.Schema, chunk: Chunk) -> pa.RecordBatch:
    """Return the records of a chunk; fields that a maker leaves out are null."""
    columns = _MAKERS[chunk.product.name](chunk)
    unknown = set(columns) - set(schema.names)
    if unknown:
        raise SynthError("a synthetic column is not in the contract")
    count = len(chunk.rows)
    without_hash = pa.RecordBatch.from_arrays(
        [columns.get(f.name, pa.nulls(count, f.type)).cast(f.type) for f in schema], schema=schema
    )
    place = schema.get_field_index("content_hash")
    return without_hash.set_column(place, schema.field(place), content_hashes(without_hash))
