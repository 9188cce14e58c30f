"""Files and object stores as a source: Parquet, CSV and Arrow IPC, local or on S3.

What is read is pinned when the source is opened: names, sizes and times of all files. A file
that changes afterwards fails the scan instead of giving half of each state. The content
digest of all files is the version.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from threading import Lock

import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow import csv, fs

from adapters.errors import SourceError
from adapters.locations import S3Options, resolve
from adapters.predicate import Predicate, to_arrow
from adapters.row_groups import with_row_groups
from adapters.schema_drift import drift
from adapters.source import GuardedSource

FORMATS = {"parquet": "parquet", "csv": "csv", "arrow": "ipc", "ipc": "ipc", "feather": "ipc"}
# Rows that are decoded at once, before batches are cut by bytes; small enough that a wide
# record of long texts stays within tens of megabytes.
_DECODE_ROWS = 16_384
_READ_AHEAD = 2
_DIGEST_CHUNK = 1 << 20
_DIGEST_TAG = b"xinguan/files/v1\n"


class FileSource(GuardedSource):
    """All files at one location, of one format and one schema.

    Args:
        location: A path of a file or a directory, or `s3://bucket/key`. Directories are read
            recursively in the order of their names; hidden files and names beginning with `_`
            are left out.
        expected: Schema that every file must have; needed for CSV, whose types are read by it.
        file_format: `parquet`, `csv` or `ipc`; by default from the ending of the name.
        s3: Region and endpoint. Credentials come from the environment or the profile file of
            the machine, never from here and never from the location.

    Raises:
        SourceError: `BAD_LOCATION` for an unusable location or an unknown format.
    """

    def __init__(
        self,
        location: str,
        *,
        expected: pa.Schema | None = None,
        file_format: str | None = None,
        s3: S3Options | None = None,
    ) -> None:
        self._location = location
        self._expected = expected
        ending = location.rsplit(".", 1)[-1].lower() if "." in location else ""
        self._format = FORMATS.get(file_format or ending, "")
        if not self._format:
            raise SourceError("BAD_LOCATION", "the format is none of parquet, csv, ipc")
        if self._format == "csv" and expected is None:
            raise SourceError("BAD_LOCATION", "CSV needs the schema of its contract")
        self._s3 = s3
        self._opened: tuple[ds.FileSystemDataset, fs.FileSystem, tuple[_Pin, ...]] | None = None
        self._digest: str | None = None
        self._lock = Lock()

    def _schema(self) -> pa.Schema:
        return self._open()[0].schema

    def _version(self) -> str:
        _, filesystem, pins = self._open()
        with self._lock:
            if self._digest is None:
                self._digest = _digest(filesystem, pins)
        _require_unchanged(filesystem, pins)
        return self._digest

    def _batches(
        self, columns: Sequence[str], predicate: Predicate | None
    ) -> Iterator[pa.RecordBatch]:
        dataset, filesystem, pins = self._open()
        _require_unchanged(filesystem, pins)
        chosen = dataset
        if predicate is not None and self._format == "parquet":
            chosen = with_row_groups(dataset, predicate)
        scanner = chosen.scanner(
            columns=list(columns),
            filter=None if predicate is None else to_arrow(predicate, dataset.schema),
            batch_size=_DECODE_ROWS,
            batch_readahead=_READ_AHEAD,
            fragment_readahead=1,
        )
        reader = scanner.to_reader()
        try:
            yield from reader
        except pa.ArrowInvalid:
            if self._format != "csv":  # whose types are only guessed
                _refuse_loss(dataset, columns)
            raise
        finally:
            reader.close()
        _require_unchanged(filesystem, pins)

    def _open(self) -> tuple[ds.FileSystemDataset, fs.FileSystem, "tuple[_Pin, ...]"]:
        with self._lock:
            if self._opened is None:
                filesystem, path = resolve(self._location, self._s3)
                pins = _pins(filesystem, path)
                self._opened = (self._dataset(filesystem, pins), filesystem, pins)
            return self._opened

    def _dataset(self, filesystem: fs.FileSystem, pins: "tuple[_Pin, ...]") -> ds.FileSystemDataset:
        file_format = self._file_format()
        paths = [pin[0] for pin in pins]
        schema = self._expected or file_format.inspect(paths[0], filesystem)
        dataset = ds.FileSystemDataset.from_paths(
            paths, schema=schema, format=file_format, filesystem=filesystem
        )
        for fragment in dataset.get_fragments():
            _require_schema(fragment.physical_schema, schema, is_csv=self._format == "csv")
        return dataset

    def _file_format(self) -> ds.FileFormat:
        if self._format == "parquet":
            return ds.ParquetFileFormat(
                default_fragment_scan_options=ds.ParquetFragmentScanOptions(
                    page_checksum_verification=True  # of files that carry checksums
                )
            )
        if self._format == "ipc":
            return ds.IpcFileFormat()
        expected = self._expected or pa.schema([])
        return ds.CsvFileFormat(
            parse_options=csv.ParseOptions(newlines_in_values=True),
            convert_options=csv.ConvertOptions(
                column_types={field.name: field.type for field in expected},
                null_values=[""],
                true_values=["true"],
                false_values=["false"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


_Pin = tuple[str, int, int]  # path, size in bytes, time of the last change in nanoseconds


def _pins(filesystem: fs.FileSystem, path: str) -> tuple[_Pin, ...]:
    info = filesystem.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise SourceError("NOT_FOUND", "there is nothing at the source's location")
    if info.type == fs.FileType.File:
        return (_pin(info),)
    found = filesystem.get_file_info(fs.FileSelector(path, recursive=True))
    pins = tuple(
        _pin(entry)
        for entry in sorted(found, key=lambda entry: str(entry.path))
        if entry.type == fs.FileType.File and not entry.base_name.startswith((".", "_"))
    )
    if not pins:
        raise SourceError("NOT_FOUND", "the source's directory holds no file")
    return pins


def _pin(info: fs.FileInfo) -> _Pin:
    return str(info.path), int(info.size), int(info.mtime_ns or 0)


def _require_unchanged(filesystem: fs.FileSystem, pins: tuple[_Pin, ...]) -> None:
    infos = filesystem.get_file_info([path for path, _, _ in pins])
    now = tuple(
        _pin(info) if info.type == fs.FileType.File else (str(info.path), -1, 0) for info in infos
    )
    if now != pins:
        raise SourceError("SOURCE_CHANGED", "a file changed since the source was opened")


def _refuse_loss(dataset: ds.FileSystemDataset, columns: Sequence[str]) -> None:
    """Name the columns that files hold in finer types than they are read in, if there are any.

    Raises:
        SourceError: `SOURCE_FAILED`; Arrow's own message would quote the value.
    """
    for fragment in dataset.get_fragments():
        stored = fragment.physical_schema
        for name in columns:
            held, wanted = stored.field(name).type, dataset.schema.field(name).type
            if held != wanted:
                raise SourceError(
                    "SOURCE_FAILED",
                    f"a value of column {name}, stored as {held}, is not a {wanted} without loss",
                ) from None


def _digest(filesystem: fs.FileSystem, pins: tuple[_Pin, ...]) -> str:
    """Return the SHA-256 over the digests of all files, in the order of their names."""
    whole = hashlib.sha256(_DIGEST_TAG)
    for path, size, _ in pins:
        one = hashlib.sha256()
        with filesystem.open_input_stream(path) as stream:
            while chunk := stream.read(_DIGEST_CHUNK):
                one.update(chunk)
        whole.update(size.to_bytes(8, "big") + one.digest())
    return whole.hexdigest()


def _require_schema(actual: pa.Schema, expected: pa.Schema, *, is_csv: bool) -> None:
    """Refuse a file whose columns differ; Arrow itself would read missing ones as nulls."""
    if is_csv:
        # A file without a header has values where names should be: they are only counted.
        names = Counter(actual.names)
        missing = [name for name in expected.names if names[name] != 1]
        surplus = len(actual.names) - len(expected.names) + len(missing)
        problems = [f"column {name} is missing or doubled" for name in missing]
        if surplus > 0:
            problems.append(f"{surplus} columns are not in the schema")
        if problems:
            raise SourceError("SCHEMA_DRIFT", "the file's schema differs: " + "; ".join(problems))
    elif (error := drift("file", actual, expected)) is not None:
        raise error
