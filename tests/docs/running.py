"""A served stage, and programs that run against it as a reader of the documents would."""

import asyncio
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from gateway.demo.cast import Player
from gateway.demo.stage import Stage
from gateway.founding import CA_CERTIFICATE
from tests.conftest import ROOT

DEADLINE_S = 240


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended and what it said, both streams together."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Served:
    """A serving gateway and the stage it serves."""

    stage: Stage
    address: str

    @property
    def company(self) -> str:
        return self.stage.population.clean

    @property
    def portfolio(self) -> list[str]:
        """Return codes of companies that have a grade."""
        rows = self.stage.loaded["public_credit_grade"].snapshot.batch(0).rows
        return list(dict.fromkeys(rows.column("uscc").to_pylist()))[:40]

    @property
    def codes(self) -> list[str]:
        file = self.stage.population.files["legal_entity_base"].path
        return pq.read_table(file, columns=["uscc"]).column(0).to_pylist()

    def hand_over(self, player: Player, folder: Path) -> None:
        """Put a player's certificate, key and the gateway's authority into a folder."""
        own = self.stage.deployment.parties_directory / player.key
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(own / "client.pem", folder / "client.pem")
        shutil.copy(own / "client.key", folder / "client.key")
        authority = self.stage.deployment.dev_authority / CA_CERTIFICATE
        shutil.copy(authority, folder / "ca.pem")


async def run_python(*words: str, cwd: Path) -> Ran:
    """Run a script with this interpreter, as a reader of the document would."""
    # A fresh interpreter finds the checkout by itself, from any folder.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "proto")]),
        "PYTHONWARNINGS": "error",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *words,
        cwd=cwd,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), DEADLINE_S)
    except TimeoutError:
        process.kill()
        out, _ = await process.communicate()
        pytest.fail(f"did not end within {DEADLINE_S} s: {out.decode()}")
    return Ran(process.returncode or 0, out.decode())
