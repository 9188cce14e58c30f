"""`xinguan stop-egress`: the emergency stop (R87), and its end."""

from typing import Annotated

import typer

from gateway.cli.console import HERE, AsJson, Home, Reason, because, session, show
from gateway.cli.party_name import canonical_id
from gateway.registry import stops
from gateway.registry.catalogue import Catalogue


def stop_egress(
    org: Annotated[str | None, typer.Option("--org", help="One organisation, by party id.")] = None,
    product: Annotated[str | None, typer.Option("--product", help="One product.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    lift: Annotated[bool, typer.Option("--lift", help="End the stop instead.")] = False,
    reason: Reason = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Stop egress at once, running streams included; without options, list the stops."""
    wanted = [
        *(["all"] if everything else []),
        *([] if org is None else [f"org:{canonical_id(org)}"]),
        *([] if product is None else [f"product:{product}"]),
    ]
    # A reason without a scope, or a scope that came out empty, is a stop that went wrong: whoever
    # ordered it would take a list of stops and exit code 0 for success.
    if len(wanted) > 1 or ((lift or reason) and not wanted):
        raise typer.BadParameter("name one scope: --org, --product or --all")
    with session(home) as opened:
        if not wanted:
            found = opened.view().stops.values()
            rows = [{"scope": stop.scope, "entry": stop.index} for stop in found]
            show(rows, as_json, title="Stops in force")
            return
        act = stops.lift if lift else stops.order
        stop = opened.run(lambda tx: act(tx, wanted[0], because(opened.act, reason)))
        # Nothing stands between the operator and a stop, but a misspelt one has to be seen.
        known = {"all", *(f"org:{party}" for party in opened.view().parties)}
        known |= {f"product:{name}" for name in Catalogue.load().names()}
    done = {"scope": stop.scope, "stopped": not lift, "entry": stop.index}
    done["names_something_here"] = stop.scope in known
    show(done, as_json, title="Stop lifted" if lift else "Egress stopped")
