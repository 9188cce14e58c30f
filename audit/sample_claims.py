"""Samples whose forger keeps the file in order and changes what it claims."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence

from audit.canonical import canonical
from audit.sample_form import (
    STRANGER,
    Edit,
    Json,
    Original,
    Sample,
    edited,
    relisted,
    with_member,
)
from audit.sample_log import SampleLog, SampleWitness


def checkpoint_samples(original: Original, files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: checkpoint."""
    log, witnesses = original.log, original.witnesses

    def sample(name: str, code: str, note: bytes) -> Sample:
        return Sample(f"checkpoint: {name}", code, with_member(files, "checkpoint", note))

    note = files["checkpoint"]
    body, _, lines = note.partition(b"\n\n")
    own, first, second = lines.splitlines(keepends=True)
    older = log.checkpoint(witnesses, size=len(log.bodies) - 1, time=original.time)
    replayed = older.note.partition(b"\n\n")[2].splitlines(keepends=True)[1]
    forger = SampleLog(log.bodies, log.origin, STRANGER).checkpoint(witnesses, time=original.time)
    other = SampleLog(log.bodies, "example.com/other", log.key)
    liar = log.changed(0, lambda entry: entry.update(node="elsewhere"))
    nobody = SampleWitness(witnesses[0].name, STRANGER)
    text = body.decode() + "\n"
    yield sample("another key", "CHECKPOINT", forger.note)
    yield sample("another log", "CHECKPOINT", other.checkpoint(witnesses, time=original.time).note)
    yield sample("an older one", "PROOF", older.note)
    yield sample("a fork that the log signed", "WITNESS", liar.checkpoint().note)
    fork = liar.checkpoint().note + first + second
    yield sample("a fork with replayed cosignatures", "WITNESS", fork)
    fork = liar.checkpoint(witnesses, time=original.time).note
    yield sample("a fork that witnesses signed too", "PROOF", fork)
    yield sample("no cosignature", "WITNESS", body + b"\n\n" + own)
    yield sample("one cosignature of two", "WITNESS", body + b"\n\n" + own + first)
    yield sample("a replayed cosignature", "WITNESS", body + b"\n\n" + own + replayed + second)
    yield sample("one cosignature twice", "CHECKPOINT", note + second)
    yield sample(
        "a stranger in a witness's name",
        "WITNESS",
        body + b"\n\n" + own + nobody.line(text, 1) + second,
    )
    yield sample("no signature of the log", "CHECKPOINT", body + b"\n\n" + first + second)
    yield sample("the log's signature twice", "CHECKPOINT", note + own)
    yield sample("a cosignature at another time", "WITNESS", note.replace(first, _postdated(first)))
    yield sample(
        "another root", "CHECKPOINT", note.replace(body.splitlines()[2], b64encode(bytes(32)))
    )
    yield sample(
        "a leading zero",
        "CHECKPOINT",
        note.replace(b"\n%d\n" % len(log.bodies), b"\n0%d\n" % len(log.bodies), 1),
    )
    yield sample("a line more", "CHECKPOINT", body + b"\nextension\n\n" + lines)
    yield sample("a carriage return", "CHECKPOINT", note.replace(b"\n\n", b"\r\n\n", 1))
    yield sample("not UTF-8", "CHECKPOINT", b"\xff" + note)
    yield sample("no signatures at all", "CHECKPOINT", body + b"\n")
    yield sample("cut off", "CHECKPOINT", note[:-2])


def _postdated(line: bytes) -> bytes:
    head, _, encoded = line.strip().rpartition(b" ")
    raw = bytearray(b64decode(encoded))
    raw[11] ^= 1
    return head + b" " + b64encode(bytes(raw)) + b"\n"


def entries_samples(
    original: Original, files: Mapping[str, bytes], span: Mapping[str, bytes]
) -> Iterator[Sample]:
    """Tamper with: entries."""
    lines = files["entries.txt"].splitlines(keepends=True)
    intent = next(i for i, line in enumerate(lines) if b'"kind":"intent"' in line)
    (at, body), (after, other) = (lines[i].split(b" ", 1) for i in (intent, intent + 1))

    def sample(name: str, code: str, *changed: bytes) -> Sample:
        made = [*lines[:intent], *changed, *lines[intent + 2 :]]
        return Sample(f"entries: {name}", code, with_member(files, "entries.txt", b"".join(made)))

    def of(number: bytes, text: bytes) -> bytes:
        return number + b" " + text

    doubled = body.replace(b'{"', b'{"v":1,"', 1)
    yield sample("two changed places", "PROOF", of(at, other), of(after, body))
    yield sample("a wrong index", "PROOF", of(b"%d" % (int(at) - 1), body), lines[intent + 1])
    yield sample("not in order", "ENTRY_FORM", lines[intent + 1], lines[intent])
    yield sample("one left out", "PROOF", lines[intent])
    yield sample(
        "a space in its JSON", "ENTRY_FORM", of(at, body.replace(b",", b", ", 1)), lines[intent + 1]
    )
    yield sample("a name twice", "ENTRY_FORM", of(at, doubled), lines[intent + 1])
    yield sample(
        "another purpose", "PROOF", of(at, _told(body, purpose="OTHER")), lines[intent + 1]
    )
    yield sample("another party", "PROOF", of(at, _told(body, party="uscc:X")), lines[intent + 1])
    yield sample(
        "a number for a text", "ENTRY_SCHEMA", of(at, _told(body, party=7)), lines[intent + 1]
    )
    yield sample(
        "a digest cut short", "ENTRY_SCHEMA", of(at, _told(body, input="abc")), lines[intent + 1]
    )
    yield sample("another version", "ENTRY_SCHEMA", of(at, _told(body, v=2)), lines[intent + 1])
    yield sample(
        "a fraction", "ENTRY_FORM", of(at, body.replace(b'"v":1', b'"v":1.0')), lines[intent + 1]
    )
    yield sample(
        "an integer beyond JSON", "ENTRY_FORM", of(at, _replaced(body, 2**60)), lines[intent + 1]
    )
    yield sample(
        "longer than a log's",
        "ENTRY_FORM",
        of(at, _told(body, node="x" * 70_000)),
        lines[intent + 1],
    )
    yield sample("no line end", "ENTRY_FORM", lines[intent], lines[intent + 1].strip())
    made = b"%d %s\n" % (len(original.log.bodies) + 5, body.strip())
    yield Sample(
        "entries: one made up",
        "PROOF",
        with_member(files, "entries.txt", files["entries.txt"] + made),
    )
    of_span = span["entries.txt"].splitlines(keepends=True)
    start = original.span.span[0] if original.span.span else 0
    kept = [line for line in of_span if not line.startswith(b"%d " % (start + 1))]
    thin = {**span, "entries.txt": b"".join(kept)}
    yield Sample(
        "range: one left out",
        "RANGE",
        relisted(thin, lambda manifest: manifest["chosen"].remove(start + 1)),
    )
    swapped = _swapped(of_span, start)
    yield Sample("range: two changed places", "RANGE", relisted({**span, "entries.txt": swapped}))


def _told(body: bytes, **members: object) -> bytes:
    return canonical(json.loads(body) | members) + b"\n"


def _replaced(body: bytes, number: int) -> bytes:
    entry = json.loads(body) | {"subject_count": number}
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def _swapped(lines: Sequence[bytes], start: int) -> bytes:
    made = list(lines)
    first = next(i for i, line in enumerate(made) if line.startswith(b"%d " % start))
    bodies = [made[i].split(b" ", 1)[1] for i in (first, first + 1)]
    made[first] = b"%d " % start + bodies[1]
    made[first + 1] = b"%d " % (start + 1) + bodies[0]
    return b"".join(made)


def proofs_samples(files: Mapping[str, bytes], span: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: proofs."""
    name = "proofs.json"
    some = max(json.loads(files[name])["paths"], key=int)
    zero = b64encode(bytes(32)).decode()

    def sample(what: str, change: Edit, code: str = "PROOF") -> Sample:
        return Sample(f"proofs: {what}", code, edited(files, name, change))

    def ranged(what: str, change: Edit) -> Sample:
        return Sample(f"range proof: {what}", "RANGE", edited(span, name, change))

    yield sample("one cut short", lambda p: p["paths"][some].pop())
    yield sample("one too long", lambda p: p["paths"][some].append(zero))
    yield sample("one empty", lambda p: p["paths"].update({some: []}))
    yield sample("one left out", lambda p: p["paths"].pop(some))
    yield sample("one more", lambda p: p["paths"].update({str(10**6): [zero]}))
    yield sample("a hash of zeros", lambda p: p["paths"][some].__setitem__(0, zero))
    yield sample(
        "a hash of 31 bytes",
        lambda p: p["paths"][some].__setitem__(0, b64encode(bytes(31)).decode()),
    )
    yield sample(
        "base64 spelt otherwise", lambda p: p["paths"][some].__setitem__(0, zero[:-2] + "B=")
    )
    yield sample("in reverse", lambda p: p["paths"][some].reverse())
    yield sample("of another size", lambda p: p.update(size=p["size"] - 1))
    yield sample("64 hashes", lambda p: p["paths"].update({some: [zero] * 64}))
    yield sample(
        "a range of one's own making",
        lambda p: p.update(range={"start": 0, "end": 10**9, "hashes": []}),
        "RANGE",
    )
    yield ranged("cut short", lambda p: p["range"]["hashes"].pop())
    yield ranged("too long", lambda p: p["range"]["hashes"].append(zero))
    yield ranged("a hash of zeros", lambda p: p["range"]["hashes"].__setitem__(0, zero))
    yield ranged("begins later", lambda p: p["range"].update(start=p["range"]["start"] + 1))
    yield ranged("ends later", lambda p: p["range"].update(end=p["range"]["end"] + 1))


def promises_samples(files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: promises."""
    zero = b64encode(bytes(32)).decode()

    def sample(what: str, change: Callable[[Json], object]) -> Sample:
        def edit(told: Json) -> None:
            change(told["promises"][0])

        return Sample(f"promise: {what}", "PROMISE", edited(files, "promises.json", edit))

    yield sample("another signature", lambda p: p.update(signature=b64encode(bytes(64)).decode()))
    yield sample(
        "a signature cut short", lambda p: p.update(signature=b64encode(bytes(63)).decode())
    )
    yield sample("another index", lambda p: p["entries"][0].__setitem__(0, 10**6))
    yield sample("another entry", lambda p: p["entries"][0].__setitem__(1, zero))
    yield sample("the intent left out", lambda p: p["entries"].pop())
    yield sample("two changed places", lambda p: p["entries"].reverse())
    yield sample("nothing promised", lambda p: p["entries"].clear())


def openings_samples(original: Original, files: Mapping[str, bytes]) -> Iterator[Sample]:
    """Tamper with: openings."""
    zero, lie = b64encode(bytes(32)).decode(), b64encode(b"someone else").decode()

    def opening(what: str, change: Callable[[Json], object]) -> Sample:
        def edit(told: Json) -> None:
            change(told["openings"][0])

        return Sample(f"opening: {what}", "OPENING", edited(files, "openings.json", edit))

    def opened(what: str, change: Callable[[Json], object]) -> Sample:
        def edit(told: Json) -> None:
            change(told["fields"][0])

        return Sample(f"field: {what}", "FIELD", edited(files, "openings.json", edit))

    outcome = original.content.fields[0][0]
    yield opening("another value", lambda o: o.update(value=lie))
    yield opening("another salt", lambda o: o.update(salt=zero))
    yield opening("a salt cut short", lambda o: o.update(salt=zero[:-8] + "AAA="))
    yield opening("another domain", lambda o: o.update(domain="case"))
    yield opening("another member", lambda o: o.update(member="case"))
    yield opening("another entry", lambda o: o.update(entry=outcome))
    yield opening("an entry that is not there", lambda o: o.update(entry=10**6))
    yield opened("another value", lambda f: f.update(value=lie))
    yield opened("another name", lambda f: f.update(name="legal_person"))
    yield opened("another salt", lambda f: f.update(salt=zero))
    yield opened(
        "another place", lambda f: f.update(position=(f["position"] + 1) % (len(f["others"]) + 1))
    )
    yield opened("a place outside", lambda f: f.update(position=-1))
    yield opened("a neighbour left out", lambda f: f["others"].pop())
    yield opened("another entry", lambda f: f.update(entry=outcome - 1))
