"""Tools that we did not write read and check our log: Tessera's fsck, over HTTP."""

import os
import shutil
import subprocess

import pytest

from audit.http_log import admit_all, log_app
from tests.audit.http_world import TestWitness, policy_of, served, witnessing
from tests.audit.log_home import VKEY
from tests.conftest import ROOT

FSCK = shutil.which("fsck", path=str(ROOT / ".tools" / "bin"))  # not the one for file systems
pytestmark = pytest.mark.skipif(
    FSCK is None and not os.environ.get("CI"),
    reason="no fsck of Tessera on this machine; `make fsck` builds it",
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
            assert done.returncode == 0, done.stderr
    witness.core.close()


@pytest.mark.parametrize("name", ["tile/entries/001", "tile/0/001", "tile/1/000.p/2"])
def test_tesseras_fsck_sees_a_changed_byte(home, name):
    integrator = home.integrator()
    home.append(600)
    integrator.integrate_once()
    path = home.directory / name
    data = bytearray(path.read_bytes())
    data[40] ^= 1
    path.write_bytes(data)
    with served(log_app(home.directory, admit_all)) as url:
        done = fsck(home, url)
    assert done.returncode != 0
