"""`xinguan stop-egress`: the emergency stop (R87), and its end."""

from typing import Annotated

import typer

from gateway.cli.console import HERE, AsJson, Home, Reason, because, session, show
from gateway.cli.party_name import canonical_id
from gateway.registry import stops


def stop_egress(
    org: Annotated[str, typer.Option("--org", help="One organisation, by party id.")] = "",
    product: Annotated[str, typer.Option("--product", help="One product.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    lift: Annotated[bool, typer.Option("--lift", help="End the stop instead.")] = False,
    reason: Reason = "",
    home: Home = HERE,
    as_json: AsJson = False,
) -> None:
    """Stop egress at once, running streams included; without options, list the stops."""
    wanted = [
        *(["all"] if everything else []),
        *([f"org:{canonical_id(org)}"] if org else []),
        *([f"product:{product}"] if product else []),
    ]
    if len(wanted) > 1 or (lift and not wanted):
        raise typer.BadParameter("name one scope: --org, --product or --all")
    with session(home) as opened:
        if not wanted:
            found = opened.view().stops.values()
            rows = [{"scope": stop.scope, "entry": stop.index} for stop in found]
            show(rows, as_json, title="Stops in force")
            return
        act = stops.lift if lift else stops.order
        stop = opened.run(lambda tx: act(tx, wanted[0], because(opened.act, reason)))
    done = {"scope": stop.scope, "stopped": not lift, "entry": stop.index}
    show(done, as_json, title="Stop lifted" if lift else "Egress stopped")
