"""`make bench`: every benchmark in turn, or those named, each in a process of its own.

python -m bench [NAME ...] [--json]
"""

import argparse
import subprocess
import sys

NAMES = (
    "query",
    "decision",
    "border",
    "replay",
    "audit_log",
    "audit_size",
    "witnessing",
    "store",
    "index",
    "lookup",
    "enforce",
    "ingest",
    "repair",
    "recall",
    "sealed",
    "reconcile",
    "border_store",
    "features",
    "portfolio",
    "flight",
    "credential",
    "counters",
    "inbound",
)


def main() -> int:
    """Run benchmarks and return the worst exit code."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="by default all of them")
    parser.add_argument("--json", action="store_true", help="print JSON, one document each")
    given = parser.parse_args()
    worst = 0
    for name in given.names or NAMES:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *(["--json"] if given.json else [])]
        worst = max(worst, subprocess.run(command, check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
