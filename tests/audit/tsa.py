"""A time-stamp authority for tests: openssl ts behind HTTP, with keys of its own."""

import asyncio
import subprocess
from pathlib import Path

from aiohttp import web

_CONFIG = """
[tsa]
default_tsa = tsa_config
[tsa_config]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ordering = no
tsa_name = no
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TestAuthority:
    """Root and authority in a folder; stamps what it is asked."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "root.key")
        self._run(
            *("req", "-x509", "-key", "root.key", "-out", "root.pem", "-days", "30"),
            *("-subj", "/CN=Test root", "-addext", "basicConstraints=critical,CA:TRUE"),
        )
        self._issue("tsa")
        (folder / "serial").write_text("01")
        (folder / "tsa.cnf").write_text(_CONFIG.format(folder=folder))

    @property
    def certificates(self) -> bytes:
        return (self.folder / "tsa.pem").read_bytes() + (self.folder / "root.pem").read_bytes()

    def second(self) -> bytes:
        """Certify another authority under the same root."""
        self._issue("second")
        return (self.folder / "second.pem").read_bytes()

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        self._run(
            *("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query", "-out", "reply"),
        )
        return (self.folder / "reply").read_bytes()

    def app(self, change=lambda reply: reply, status=200) -> web.Application:
        async def answer(request: web.Request) -> web.Response:
            assert request.headers["Content-Type"] == "application/timestamp-query"
            reply = await asyncio.to_thread(self.stamp, await request.read())
            return web.Response(body=change(reply), status=status)

        app = web.Application()
        app.router.add_post("/", answer)
        return app

    def _issue(self, name: str) -> None:
        key, csr = f"{name}.key", f"{name}.csr"
        self._run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        self._run("req", "-new", "-key", key, "-subj", f"/CN=Test {name}", "-out", csr)
        (self.folder / "ext").write_text(
            "extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n"
        )
        self._run(
            *("x509", "-req", "-in", csr, "-CA", "root.pem", "-CAkey", "root.key"),
            *("-days", "30", "-extfile", "ext", "-out", f"{name}.pem"),
        )

    def _run(self, *words: str) -> None:
        subprocess.run(["openssl", *words], cwd=self.folder, check=True, capture_output=True)
