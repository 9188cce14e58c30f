"""`xinguan border`: the registers that an export rests on, and the store apart for it."""

from typing import Annotated, Any

import typer

from gateway.border import kept as keeping
from gateway.border.claims import MechanismClaims
from gateway.border.law import lawful_border, negative_lists
from gateway.border.renewals import remind, renewal_of
from gateway.cli.border_register import add_commands, told
from gateway.cli.border_store import add_store_commands
from gateway.cli.console import HERE, AsJson, Home, session, show
from gateway.domain.border import Register

app = typer.Typer(help="Registers of the border: mechanisms, assessments, restricted recipients.")

mechanism = typer.Typer(help="Mechanisms of PIPL 38: assessment, standard contract, certificate.")
assessment = typer.Typer(help="Impact assessments (PIPL 55, 56), kept three years and more.")
restricted = typer.Typer(help="Restricted recipients (PIPL 42); only the authority lists them.")
partner = typer.Typer(help="What a partner is: a judicial body or not (PIPL 41), its country.")
exporter = typer.Typer(help="What an exporter is: critical infrastructure, a state organ.")
exemption = typer.Typer(help="Bases of CAC Order 16 arts 4, 5, as the exporter states them.")
important = typer.Typer(help="What of a product was notified or published as important data.")

for name, group, register in (
    ("mechanism", mechanism, Register.MECHANISM),
    ("assessment", assessment, Register.ASSESSMENT),
    ("restricted", restricted, Register.RESTRICTED),
    ("partner", partner, Register.PARTNER),
    ("exporter", exporter, Register.EXPORTER),
    ("exemption", exemption, Register.EXEMPTION),
    ("important", important, Register.IMPORTANT),
):
    add_commands(group, register)
    app.add_typer(group, name=name)

add_store_commands(app)


@mechanism.command("list")
def list_mechanisms(
    due: Annotated[bool, typer.Option("--due", help="Only those to be renewed now.")] = False,
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """List mechanisms with the day by which each is to be renewed; alarms are raised here too."""
    law = lawful_border()
    with session(home) as opened:
        now = opened.act.now
        opened.run(lambda tx: remind(tx, now, opened.act.node, law))
        found = opened.run(lambda tx: keeping.every(tx, Register.MECHANISM))
    rows: list[dict[str, Any]] = []
    for kept in found:
        claims = kept.claims
        if not isinstance(claims, MechanismClaims):
            continue
        renewal = renewal_of(claims, now, law)
        row = told(kept, now) | {
            "renew_by": renewal.due.isoformat(),
            # Holidays of a year in between are not published: the day is rather too early.
            "provisional": renewal.provisional,
            "renewal_due": kept.alarm is not None and renewal.now_due,
            "alarm": "" if kept.alarm is None else f"entry {kept.alarm}",
        }
        if not due or row["renewal_due"]:
            rows.append(row)
    show(rows, as_json, title="Mechanisms")


@app.command("negative-list")
def negative_list(as_json: AsJson = False) -> None:
    """Show what is known of the zone's negative list (CAC Order 16 art. 6)."""
    rows = [
        {
            "data": name,
            "version": entry["version"],
            "listed": entry["listed"],
            "art6_exempt": entry["art6_exempt"],
            "source": entry["source"],
            "tag": entry["tag"],
        }
        for name, entry in negative_lists().items()
    ]
    show(rows, as_json, title="Negative lists")
