"""A small simulated source and its contract, for every test of this room."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from gateway.domain.product import Field, Product
from gateway.domain.vocabulary import BorderDefault, FieldClass, SubjectKind

SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("uscc", pa.string(), nullable=False),
        pa.field("amount", pa.decimal128(18, 6)),
        pa.field("decided_on", pa.date32()),
        pa.field("name", pa.string()),
        pa.field("share", pa.bool_()),
        pa.field("ends", pa.int64()),
    ]
)
FAR = 4_000_000_000  # unix seconds


def product(name: str = "penalty", *, adverse: bool = False) -> Product:
    fields = {
        f.name: Field(f.name, "名", f.name, "string", FieldClass.P0, "u", BorderDefault.ALLOW)
        for f in SCHEMA
    }
    return Product(
        name=name,
        version="1.0",
        title_zh="行政处罚",
        title_en="Penalties",
        fields=fields,
        subject_key="uscc",
        record_key="record_id",
        subject_kinds=frozenset({SubjectKind.LEGAL_ENTITY}),
        adverse=adverse,
        domain="PUBLIC",
        form="RECORD",
        registration_code="",
        manager_uscc="u",
        feed_limit_s=0,
        digest="c" * 64,
    )


def shareable(batch: pa.RecordBatch, _: Product) -> pa.BooleanArray:
    return batch.column("share")


def expires_at(batch: pa.RecordBatch, _: Product) -> pa.Int64Array:
    return batch.column("ends")


def record(subject: str, key: str, **more) -> dict:
    row = {"record_id": key, "uscc": subject, "name": f"企业{key}", "share": True, "ends": FAR}
    return row | more


class Rows:
    """A source in memory; `fail_after` batches it breaks, as a database connection would."""

    def __init__(
        self,
        rows: Sequence[dict],
        *,
        schema: pa.Schema = SCHEMA,
        batch: int = 7,
        fail_after: int | None = None,
    ) -> None:
        self.table = pa.Table.from_pylist(list(rows), schema=schema)
        self.batch = batch
        self.fail_after = fail_after

    def schema(self) -> pa.Schema:
        return self.table.schema

    def scan(self, columns, predicate, batch_bytes) -> Iterator[pa.RecordBatch]:
        batches = self.table.select(columns).to_batches(max_chunksize=self.batch)
        for number, batch in enumerate(batches):
            if number == self.fail_after:
                raise ConnectionError("the source went away")
            yield batch

    def version(self) -> str:
        return "v1"


RULES = {"shareable": shareable, "expires_at": expires_at}
