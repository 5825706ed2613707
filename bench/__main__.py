"""`python -m bench`: the dashboard query on the gateway and on a plain server, and what recognising callers costs."""

from __future__ import annotations

import argparse
import asyncio
import platform
import signal
import sys

from bench import callers
from bench.contenders import DidNotStart, open_field, open_gateways
from bench.contest import Effort, compete
from bench.load import WrongAnswer
from bench.processes import Cores, split_cores
from bench.table import heading, lines
from graphiql.examples import DASHBOARD


def main() -> None:
    arguments = _arguments()
    effort = Effort(arguments.seconds, arguments.rounds, arguments.connections)
    try:
        asyncio.run(_bench(arguments.only, arguments.sizes, effort))
    except (DidNotStart, WrongAnswer) as exc:
        sys.exit(str(exc))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=["dashboard", "callers"], help="one of the two tables")
    parser.add_argument("--sizes", type=_at_least_one, nargs="+", default=[1, 50, 100], help="orders per dashboard")
    parser.add_argument("--seconds", type=_half_or_more, default=2.0, help="length of a round")
    parser.add_argument("--rounds", type=_at_least_one, default=6, help="rounds per contender and size")
    parser.add_argument("--connections", type=_at_least_one, default=4, help="requests that are in flight at a time")
    return parser.parse_args()


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _half_or_more(text: str) -> float:
    if (seconds := float(text)) < 0.5:
        raise argparse.ArgumentTypeError("at least 0.5: CPU time is counted in hundredths of a second")
    return seconds


async def _bench(only: str | None, sizes: list[int], effort: Effort) -> None:
    if (task := asyncio.current_task()) is not None and sys.platform != "win32":
        # As Ctrl-C does: the contenders must not stay behind.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    cores = split_cores()
    print(_conditions(sizes, effort, cores), flush=True)
    if only != "callers":
        async with open_field(cores) as field:
            print(f"\nthe dashboard of n orders\n\n{heading()}", flush=True)
            for n in sizes:
                gateway, plain = await compete(field, DASHBOARD.query, {"n": n}, effort)
                print(*lines(n, gateway, plain), sep="\n", flush=True)
    if only != "dashboard":
        async with open_gateways(cores) as (cached, cold):
            print("\nwho is asking: { viewer { kind } }\n", flush=True)
            print(*callers.lines(await callers.measure(cached, cold, effort)), sep="\n", flush=True)


def _conditions(sizes: list[int], effort: Effort, cores: Cores | None) -> str:
    again = f"--sizes {' '.join(map(str, sizes))} --seconds {effort.seconds:g}"
    again += f" --rounds {effort.rounds} --connections {effort.connections}"
    where = "all processes on any core" if cores is None else "the server alone on one core"
    return (
        f"python -m bench {again}\n"
        f"Python {platform.python_version()}; over HTTP, {where};\n"
        f"median (lowest-highest) of {effort.rounds} interleaved rounds, ratios round by round.\n"
        "Where busy is well below 100%, something else than the server was the limit: go by CPU per request."
    )


if __name__ == "__main__":
    main()
