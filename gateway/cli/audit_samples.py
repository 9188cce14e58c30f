"""`xinguan audit samples`: a good evidence pack and many bad ones, to try a verifier on."""

import asyncio
import json
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit.pack import Content
from audit.sample_form import Original
from audit.sample_log import SampleLog, SampleWitness
from audit.samples import samples
from gateway.cli.audit_collect import Collector
from gateway.cli.console import AsJson, session, show

if TYPE_CHECKING:
    from gateway.demo.stage import Stage

_FIELDS = ("uscc", "name", "contact_phone")
_COMPANIES = 40


def samples_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the samples.")],
    as_json: AsJson = False,
) -> None:
    """Write a good pack, and tampered ones that `xinguan-verify` must refuse, each with why.

    A demonstration gateway of synthetic companies answers one request in a folder that is
    deleted again; its log, key and two made-up witnesses are what the forgers play with.
    `expected.json` names the reason code for each file.
    """
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise typer.BadParameter(f"{folder.name}: {error.strerror}") from None
    with TemporaryDirectory() as scratch:
        original = make_original(Path(scratch) / "home", int(time.time()))
    (folder / "trust.policy").write_text(original.trust, encoding="utf-8")
    (folder / "good.pack").write_bytes(original.good())
    (folder / "good-range.pack").write_bytes(original.good_span())
    expected: dict[str, dict[str, Any]] = {}
    for number, sample in enumerate(samples(original)):
        name = f"{number:03d}.pack"
        (folder / name).write_bytes(sample.data)
        expected[name] = {"what": sample.name, "code": sample.code, "replay": sample.replay}
    text = json.dumps(expected, ensure_ascii=False, indent=1)
    (folder / "expected.json").write_text(text + "\n", encoding="utf-8")
    show({"folder": str(folder), "tampered": len(expected)}, as_json, title="Samples")


def make_original(root: Path, now: int) -> Original:
    """Serve one request of the demonstration, and return what samples are made from.

    Args:
        root: An empty or missing folder for the deployment.
        now: Unix seconds.
    """
    from gateway.demo.stage import set_stage

    stage = set_stage(root, now, companies=_COMPANIES)
    answer = asyncio.run(_ask(stage))
    plain = root / "answer.json"
    plain.write_text(json.dumps(answer["columns"], ensure_ascii=False), encoding="utf-8")
    with session(root) as opened, closing(opened.state.connect()) as connection:
        collector = Collector(opened, connection)
        chosen = collector.with_followers(collector.find(answer["request"], "", ""))
        selection: dict[str, object] = {"by": "request", "request": answer["request"]}
        content = collector.content(selection, chosen, None)
        collector.disclose(content, ["operator", "name"], plain)
        start, end = chosen[0], chosen[-1] + 1
        whole: dict[str, object] = {"by": "range", "start": start, "end": end}
        span: Content = collector.content(whole, list(range(start, end)), (start, end))
        bodies = [body for _, body in collector.entries()]
        key = opened.deployment.secrets().log_key
        origin = collector.checkpoint.origin
    witnesses = [
        SampleWitness(name, Ed25519PrivateKey.from_private_bytes(name.encode().ljust(32, b".")))
        for name in ("witness.example/one", "witness.example/two")
    ]
    return Original(SampleLog(bodies, origin, key), content, span, witnesses, now)


async def _ask(stage: "Stage") -> dict[str, Any]:
    from gateway.demo.cast import AGENCY
    from gateway.server import Gateway
    from xinguan.client import Client

    async with (
        Gateway(stage.deployment) as gateway,
        Client(gateway.address, stage.identity(AGENCY), deadline_s=10) as client,
    ):
        answer = await client.query(
            "legal_entity_base",
            list(_FIELDS),
            subjects=[stage.population.clean],
            purpose="CREDIT_REPORT",
            scenario="ENTERPRISE_REPORT",
            operator="u-17",
            case_reference="case-0001",
        )
        columns = answer.table().to_pydict()
        return {"request": answer.decision.request_id, "columns": columns}
