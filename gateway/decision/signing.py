"""A signed copy of the bundle, for an OPA server that checks where its policy comes from.

The authority signs on its own machine, with a key that the gateway never holds; the server is
started with `--verification-key` and refuses a bundle whose files differ from the signature. Our
own check doesn't rest on it: the gateway compares the revision in every answer with its own
sources, and hashes the bytes itself.
"""

import subprocess
import tarfile
import tempfile
from pathlib import Path

from gateway.decision.bundle import BuildError, load, pack

SIGNATURES = ".signatures.json"
ALGORITHM = "ES256"
_SIGN_TIMEOUT_S = 60


def sign(policies: Path, opa: Path, key: Path, target: Path) -> Path:
    """Write a signed copy of the verified bundle.

    Args:
        policies: The `policies` directory; its bundle must match its sources.
        opa: The OPA binary.
        key: PEM file of an ECDSA key on P-256.
        target: Where the signed bundle is written.

    Returns:
        The target.

    Raises:
        UnavailableError: `POLICY_MISMATCH` when the bundle is stale; it is never signed then.
        BuildError: When OPA can't be run or refuses the key.
    """
    bundle = load(policies)
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch) / "bundle"
        with tarfile.open(bundle.archive) as archive:
            # The bytes were compared with the manifest just now; names start with a slash.
            archive.extractall(stage, filter="data")
        command = [str(opa.absolute()), "sign", "--signing-key", str(key.absolute())]
        command += ["--signing-alg", ALGORITHM, "--bundle", "."]
        try:
            subprocess.run(  # noqa: S603 - the binary is the operator's own, arguments are ours
                command, cwd=stage, check=True, capture_output=True, timeout=_SIGN_TIMEOUT_S
            )
        except subprocess.CalledProcessError as error:
            raise BuildError("OPA refused the key or the bundle") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise BuildError("the OPA binary could not be run") from error
        files = {
            path.relative_to(stage).as_posix(): path.read_bytes()
            for path in stage.rglob("*")
            if path.is_file()
        }
    target.write_bytes(pack(files))
    return target
