"""The policy bundle: built from its sources by OPA, kept beside them, refused when they differ.

`policies/bundle/` holds three files, all made by `build`:

- `policy.wasm`: the entry point `xinguan/decision`, compiled by OPA for the embedded engine;
- `bundle.tar.gz`: the same sources as an OPA bundle, for a server beside the gateway;
- `manifest.json`: the digest of each source and of each artefact.

The *revision* is the digest of the sources: Rego without tests, the tables it reads, and the
capabilities; the texts of reasons and the titles of rules decide nothing and are not among them.
It is written into the bundle's data and every decision repeats it, so an engine that holds
another bundle is noticed at its first answer. The digest in the log is that of `bundle.tar.gz`.
"""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.decision.tables import DECIDING_TABLES, flatten
from gateway.domain.errors import UnavailableError

ENTRY_POINT = "xinguan/decision"
DEFAULT_POLICIES = Path(__file__).resolve().parents[2] / "policies"
_REVISION_TAG = b"xinguan/policy-revision/v1\n"
_BUILD_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Bundle:
    """A verified bundle.

    Args:
        digest: SHA-256 of `bundle.tar.gz`, hex; the digest that decisions and the log cite.
        revision: SHA-256 over the sources, hex; what an engine must answer with.
        wasm: The compiled policy.
        data: The data document of the policy, canonical JSON.
        archive: Path of `bundle.tar.gz`, for an OPA server.
    """

    digest: str
    revision: str
    wasm: bytes
    data: bytes
    archive: Path


class BuildError(Exception):
    """OPA refused the policy or could not be run; the text is OPA's own."""


def source_digests(policies: Path) -> dict[str, str]:
    """Return path to SHA-256 (hex) of every source of the bundle, paths relative and sorted."""
    rego = [p for p in policies.glob("xinguan/**/*.rego") if not p.name.endswith("_test.rego")]
    tables = [policies / "data" / f"{name}.json" for name in DECIDING_TABLES]
    files = [*rego, *tables, policies / "capabilities.json"]
    return {
        path.relative_to(policies).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
    }


def revision_of(sources: Mapping[str, str]) -> str:
    """Return the revision of a set of sources (domain-separated SHA-256, hex)."""
    return hashlib.sha256(_REVISION_TAG + _canonical(sources)).hexdigest()


def policy_data(policies: Path, revision: str) -> bytes:
    """Return the data document of the policy as canonical JSON: `law` and `bundle`."""
    return _canonical({"law": flatten(policies / "data"), "bundle": {"revision": revision}})


def build(policies: Path, opa: Path) -> Bundle:
    """Compile the policy with the OPA binary and write the three files.

    Raises:
        BuildError: When OPA refuses the sources or the compiled policy needs a host builtin.
    """
    sources = source_digests(policies)
    revision = revision_of(sources)
    data = policy_data(policies, revision)
    wasm = _compile(policies, opa, sources)
    archive = _archive(policies, sources, data, revision)
    target = policies / "bundle"
    target.mkdir(exist_ok=True)
    (target / "policy.wasm").write_bytes(wasm)
    (target / "bundle.tar.gz").write_bytes(archive)
    manifest = {
        "version": 1,
        "entry_point": ENTRY_POINT,
        "revision": revision,
        "sources": sources,
        "artefacts": {
            "bundle.tar.gz": hashlib.sha256(archive).hexdigest(),
            "policy.wasm": hashlib.sha256(wasm).hexdigest(),
        },
    }
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False)
    (target / "manifest.json").write_text(text + "\n", encoding="utf-8")
    return load(policies)


def load(policies: Path = DEFAULT_POLICIES) -> Bundle:
    """Return the bundle after checking it against its sources and its own digests.

    Raises:
        UnavailableError: `POLICY_MISMATCH` when a source changed since the build, when an
            artefact is not the one that was built, or when either is missing or unreadable.
    """
    target = policies / "bundle"
    try:
        manifest = json.loads((target / "manifest.json").read_bytes())
        wasm = (target / "policy.wasm").read_bytes()
        archive = (target / "bundle.tar.gz").read_bytes()
        sources = source_digests(policies)
        expected = manifest["sources"], manifest["revision"], manifest["artefacts"]
        data = policy_data(policies, revision_of(sources))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _mismatch("the policy bundle is missing or unreadable") from error
    artefacts = {
        "bundle.tar.gz": hashlib.sha256(archive).hexdigest(),
        "policy.wasm": hashlib.sha256(wasm).hexdigest(),
    }
    revision = revision_of(sources)
    if expected != (sources, revision, artefacts):
        raise _mismatch("the policy bundle does not match its sources; run `make policies`")
    return Bundle(
        digest=artefacts["bundle.tar.gz"],
        revision=revision,
        wasm=wasm,
        data=data,
        archive=target / "bundle.tar.gz",
    )


def _mismatch(message: str) -> UnavailableError:
    return UnavailableError("POLICY_MISMATCH", message)


def _canonical(value: object) -> bytes:
    """RFC 8785 for documents of strings, integers, booleans, lists and ASCII-keyed objects."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _compile(policies: Path, opa: Path, sources: Mapping[str, str]) -> bytes:
    rego = [name for name in sources if name.endswith(".rego")]
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "compiled.tar.gz"
        command = [str(opa.absolute()), "build", "--target", "wasm", "--entrypoint", ENTRY_POINT]
        command += ["--capabilities", "capabilities.json", "--output", str(output), *rego]
        try:
            subprocess.run(  # noqa: S603 - the binary is the operator's own, arguments are ours
                command, cwd=policies, check=True, capture_output=True, timeout=_BUILD_TIMEOUT_S
            )
        except subprocess.CalledProcessError as error:
            text = error.stdout + error.stderr  # OPA reports on either
            raise BuildError(text.decode(errors="replace").strip()) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError("the OPA binary could not be run") from error
        with tarfile.open(output) as archive:
            member = archive.extractfile("/policy.wasm")
            if member is None:
                raise BuildError("OPA wrote no policy.wasm")
            return member.read()


def _archive(policies: Path, sources: Mapping[str, str], data: bytes, revision: str) -> bytes:
    """Return the OPA bundle; the same sources give the same bytes, whoever builds."""
    manifest = {"revision": revision, "roots": ["bundle", "law", "xinguan"], "rego_version": 1}
    files = {".manifest": _canonical(manifest), "data.json": data}
    files |= {name: (policies / name).read_bytes() for name in sources if name.endswith(".rego")}
    return pack(files)


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return a `.tar.gz` of files by path; the same files give the same bytes."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo("/" + name)
            entry.size, entry.mode, entry.mtime = len(files[name]), 0o644, 0
            tar.addfile(entry, io.BytesIO(files[name]))
    # Level 0 stores: the bytes then don't depend on the version of zlib.
    return gzip.compress(plain.getvalue(), compresslevel=0, mtime=0)


def main(arguments: list[str]) -> int:
    """Run `python -m gateway.decision.bundle build|check [OPA]`; the exit code is the answer.

    Args:
        arguments: `build` or `check`, then the path of the OPA binary (`.tools/bin/opa`).
    """
    match arguments:
        case ["build", *rest]:
            bundle = build(DEFAULT_POLICIES, Path(rest[0] if rest else ".tools/bin/opa"))
        case ["check", *_]:
            bundle = load()
        case _:
            sys.stderr.write("usage: python -m gateway.decision.bundle build|check [OPA]\n")
            return 2
    sys.stdout.write(f"revision {bundle.revision}\ndigest   {bundle.digest}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
