"""Tampered evidence packs: what a verifier must refuse, each with the reason it must give.

They are made from one good pack, so that each differs from it in one thing. Three sorts of
forger are played: one who changes the file, one who also keeps its list of digests right, and
the operator itself, who holds the log's key and even has its witnesses sign what it made up.
"""

from collections.abc import Iterator

from audit.sample_claims import (
    checkpoint_samples,
    entries_samples,
    openings_samples,
    promises_samples,
    proofs_samples,
)
from audit.sample_files import (
    beside_samples,
    container_samples,
    flipped_samples,
    manifest_samples,
)
from audit.sample_form import Original, Sample, read_files
from audit.sample_lies import lies_samples


def samples(original: Original) -> Iterator[Sample]:
    """Make every sample, one after the other.

    Args:
        original: The good one.
    """
    data = original.good()
    files = read_files(data)
    span = read_files(original.good_span())
    yield from container_samples(data, files)
    yield from flipped_samples(files)
    yield from manifest_samples(files)
    yield from checkpoint_samples(original, files)
    yield from entries_samples(original, files, span)
    yield from proofs_samples(files, span)
    yield from promises_samples(files)
    yield from openings_samples(original, files)
    yield from beside_samples(files)
    yield from lies_samples(original)
