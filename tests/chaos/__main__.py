"""`make chaos`: one run, its figures on the terminal, exit status 1 where an invariant was violated."""

import argparse
import random
import signal
import sys
import time
from pathlib import Path

from local.layout import CHECKOUT
from tests.chaos import report
from tests.chaos.plan import plan
from tests.chaos.run import Place, run

PORT_BASE = 18_100
MINUTES = 30.0
JOBS = 200


def main() -> None:
    """Reads the options, runs, reports."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="default: any; it is printed")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"length of load and faults ({MINUTES:.0f})")
    parser.add_argument("--jobs", type=int, default=JOBS, help=f"uploads ({JOBS})")
    parser.add_argument("--port-base", type=int, default=PORT_BASE, help=f"ports of the run's own stack ({PORT_BASE})")
    options = parser.parse_args()
    name = str(options.seed)
    place = Place(
        home=CHECKOUT / ".palimpsest" / f"chaos-{name}",
        port_base=options.port_base,
        folder=Path(CHECKOUT) / "out" / "chaos" / name,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # so that the stack goes, too
    begun = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - begun:7.1f} s] {line}", flush=True)

    say(f"seed {options.seed}")
    result = run(plan(options.seed, options.minutes, options.jobs), place, say)
    report.write(result, place.folder)
    text = "\n".join(report.lines(result))
    (place.folder / "report.txt").write_text(text + "\n")
    print(text, flush=True)
    sys.exit(1 if result.violations else 0)


if __name__ == "__main__":
    main()
