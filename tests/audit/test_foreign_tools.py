"""Tools that we did not write read and check our log: Tessera's fsck, over HTTP."""

import os
import shutil
import subprocess

import pytest

from audit.http_log import admit_all, log_app
from tests.audit.http_world import TestWitness, policy_of, served, witnessing
from tests.audit.log_home import VKEY
from tests.conftest import ROOT

_BUILT = str(ROOT / ".tools" / "bin")
FSCK = shutil.which("tessera-fsck") or shutil.which("tessera-fsck", path=_BUILT)
pytestmark = pytest.mark.skipif(
    FSCK is None and not os.environ.get("CI"),
    reason="no fsck of Tessera on this machine; `make tessera-fsck` builds it",
)


def fsck(home, url):
    key = home.root / "log.vkey"
    key.write_text(VKEY)
    return subprocess.run(
        [str(FSCK), f"--storage_url={url}/", f"--public_key={key}", "--ui=false"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_tesseras_fsck_rebuilds_our_log_from_what_we_serve(home, tmp_path):
    witness = TestWitness(tmp_path, now=lambda: home.now)
    with served(witness.app) as witness_url, served(log_app(home.directory, admit_all)) as url:
        policy = policy_of(witness.line(witness_url), quorum="w1")
        integrator = home.integrator(witnesses=witnessing(home, policy))
        total = 0
        for count in (5, 251, 300, 1500):
            home.append(count, total)
            total += count
            integrator.integrate_once()
            done = fsck(home, url)
            # Its exit code is 0 either way; what it says at the end is what counts.
            assert f"Successfully fsck'd log with size {total} " in done.stderr, done.stderr
    witness.core.close()


def test_tesseras_fsck_sees_a_changed_byte(home):
    """In a tile that it compares last: after an earlier one this version waits for ever."""
    integrator = home.integrator()
    home.append(600)
    integrator.integrate_once()
    path = home.directory / "tile/1/000.p/2"
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with served(log_app(home.directory, admit_all)) as url:
        done = fsck(home, url)
    assert "fsck failed: failed: tile/1/000.p/2" in done.stderr
    assert "Successfully" not in done.stderr
