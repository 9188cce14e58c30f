"""Samples whose forger changes the file: its container, its members, its manifest."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256

from audit.container import pack_files
from audit.sample_form import (
    STRANGER,
    Edit,
    Json,
    Sample,
    edited,
    flip,
    relisted,
    with_member,
)


def container_samples(data: bytes, files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: container."""
    name = "checkpoint"
    whole = dict(files)
    rest = {each: body for each, body in whole.items() if each != name}
    yield Sample("empty file", "PACK_FORMAT", b"")
    yield Sample("not a pack", "PACK_FORMAT", b"not a pack at all")
    yield Sample("cut in the middle", "PACK_FORMAT", data[: len(data) // 2])
    yield Sample("cut by one byte", "PACK_FORMAT", data[:-1])
    yield Sample("bytes behind the end", "PACK_FORMAT", data + b"\0")
    yield Sample("bytes before the beginning", "PACK_FORMAT", b"MZ" + data)
    yield Sample("a comment in the archive", "PACK_FORMAT", data[:-2] + b"\x04\0pack")
    yield Sample(
        "a member without its digest",
        "MANIFEST",
        pack_files({**whole, "inputs/" + "0" * 64 + ".json": b"{}"}),
    )
    yield Sample(
        "a member is missing",
        "MANIFEST",
        pack_files({k: v for k, v in whole.items() if not k.startswith("inputs/")}),
    )
    yield Sample("the checkpoint is missing", "PACK_FORMAT", relisted(rest))
    yield Sample("a member twice", "PACK_NAME", _raw_zip([*whole.items(), (name, whole[name])]))
    yield Sample(
        "members in another order", "PACK_FORMAT", _raw_zip(sorted(whole.items(), reverse=True))
    )
    for path in (
        "../../etc/passwd",
        "/etc/passwd",
        "C:\\evil",
        "inputs/../x.json",
        "a\0b",
        "entries.txt/",
    ):
        yield Sample(
            f"a member named {path!r}", "PACK_NAME", _raw_zip([*whole.items(), (path, b"x")])
        )
    bomb = zlib.compress(b"\0" * (64 << 20), 9)[2:-4]
    yield Sample(
        "a compressed bomb", "PACK_FORMAT", _raw_zip([(name, bomb)], method=8, size=64 << 20)
    )
    yield Sample(
        "a member of four gigabytes", "PACK_FORMAT", _raw_zip([(name, b"x")], size=0xFFFFFFFF)
    )
    yield Sample(
        "a member longer than the file",
        "PACK_FORMAT",
        _raw_zip([(name, b"x")], size=1 << 20, packed=1 << 20),
    )


def _raw_zip(
    members: Iterable[tuple[str, bytes]],
    *,
    method: int = 0,
    size: int | None = None,
    packed: int | None = None,
) -> bytes:
    """Write a ZIP that keeps no rule but its own headers."""
    parts, directory, offset, count = [], [], 0, 0
    for name, body in members:
        raw = name.encode()
        length = len(body) if packed is None else packed
        shared = (
            0,
            method,
            0,
            0x21,
            zlib.crc32(body),
            length,
            size if size is not None else len(body),
            len(raw),
            0,
        )
        parts.append(struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, *shared) + raw + body)
        directory.append(
            struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *shared, 0, 0, 0, 0, offset) + raw
        )
        offset += len(parts[-1])
        count += 1
    central = b"".join(directory)
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(central), offset, 0)
    return b"".join([*parts, central, end])


def flipped_samples(files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Flip one bit of each member: in the file alone, and with the checksum kept right."""
    data = pack_files(files)
    for name, body in files.items():
        at = data.index(body) + len(body) // 2
        yield Sample(f"a bit of {_short(name)}", "PACK_FORMAT", flip(data, at))
        if name != "manifest.json":
            changed = {**files, name: flip(body, len(body) // 2)}
            yield Sample(
                f"a bit of {_short(name)}, checksum right", "FILE_DIGEST", pack_files(changed)
            )


def manifest_samples(files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: manifest."""

    def sample(name: str, code: str, change: Edit) -> Sample:
        return Sample(f"manifest: {name}", code, relisted(files, change))

    raw = files["manifest.json"]
    doubled = raw.replace(b'{"chosen"', b'{"v":2,"chosen"', 1)
    yield Sample(
        "manifest: a name twice", "MANIFEST", pack_files({**files, "manifest.json": doubled})
    )
    yield Sample(
        "manifest: not canonical", "MANIFEST", pack_files({**files, "manifest.json": raw + b"\n"})
    )
    yield Sample("manifest: no JSON", "MANIFEST", pack_files({**files, "manifest.json": b"{"}))
    deep = b"[" * 100_000
    yield Sample(
        "manifest: nested without end", "MANIFEST", pack_files({**files, "manifest.json": deep})
    )
    fraction = raw.replace(b'"v":1}', b'"v":1.0}')
    yield Sample(
        "manifest: a fraction", "MANIFEST", pack_files({**files, "manifest.json": fraction})
    )
    yield sample("another version", "MANIFEST", lambda m: m.update(v=2))
    yield sample("another kind", "MANIFEST", lambda m: m.update(kind="receipt"))
    yield sample("another log", "MANIFEST", lambda m: m.update(origin="example.com/other"))
    yield sample("another size", "PROOF", lambda m: m.update(size=m["size"] + 1))
    yield sample("a member more", "MANIFEST", lambda m: m.update(signed=True))
    yield sample("another request", "MANIFEST", lambda m: m["selection"].update(request="X"))
    yield sample(
        "chosen: an entry that is not there", "MANIFEST", lambda m: m["chosen"].append(10**6)
    )
    yield sample(
        "claims a range",
        "RANGE",
        lambda m: m.update(selection={"by": "range", "start": 0, "end": 9}),
    )


def beside_samples(files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Change what lies beside the entries: inputs, policies, documents, keys."""
    for folder, code in (("inputs", "INPUT"), ("policies", "POLICY"), ("documents", "DOCUMENT")):
        for name in sorted(each for each in files if each.startswith(f"{folder}/")):
            body = files[name]
            ending = name.partition("/")[2][64:]
            changed = (
                body.replace(b'"scenario"', b'"scenariO"', 1)
                if folder == "inputs"
                else flip(body, len(body) // 2)
            )
            yield Sample(f"{folder}: another {ending}", code, with_member(files, name, changed))
            rest = {each: data for each, data in files.items() if each != name}
            moved = f"{folder}/{sha256(changed).hexdigest()}{ending}"
            yield Sample(
                f"{folder}: another {ending} under its own name",
                code,
                relisted({**rest, moved: changed}),
            )

    def keyed(what: str, change: Callable[[Json], object]) -> Sample:
        def edit(told: Json) -> None:
            change(told["keys"][0])

        return Sample(f"keys: {what}", "DOCUMENT", edited(files, "keys.json", edit))

    point = STRANGER.public_key().public_bytes_raw()
    x = b64encode(point, b"-_").decode().rstrip("=")
    yield keyed("a stranger's key", lambda k: k["jwk"].update(x=x))
    yield keyed("another kind of key", lambda k: k["jwk"].update(crv="X25519"))
    yield Sample("keys: none", "DOCUMENT", edited(files, "keys.json", lambda k: k["keys"].clear()))


def _short(name: str) -> str:
    """Return a member's name without its digest."""
    folder, _, rest = name.partition("/")
    return f"{folder}/*{rest[64:]}" if rest else folder
