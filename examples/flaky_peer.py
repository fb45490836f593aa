"""`peer`, but one of its links breaks again and again: `flaky_peer.py FILE NAME start …`, for heartbeats.py.

As long as FILE exists, the link to the member NAME is cut every `CUT_SECONDS`, as a bad cable or a router that starts
again would cut it: without a goodbye, and both sides may link up anew at once. None of this is in the package that is
installed: it wraps one method and then runs the command line.
"""

import sys
from pathlib import Path

import trio
from trio import TaskStatus  # type: ignore[attr-defined]

from coterie.peer.cli import main as cli
from coterie.peer.network.network import Network

CUT_SECONDS = 1.0


async def flap(network: Network, switch: Path, name: str) -> None:
    """Cut the link, as long as the switch is there."""
    while True:
        await trio.sleep(CUT_SECONDS)
        if switch.exists():
            for link in list(network._links.values()):
                if link.greeting is not None and link.greeting.name == name:
                    link.stop("the link was cut")


def main(switch: str, name: str, arguments: list[str]) -> int:
    """Run `peer` with these arguments, and let the link to this member flap."""
    steady = Network.run

    async def run(self: Network, *, task_status: TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flap, self, Path(switch), name)
            await steady(self, task_status=task_status)
            nursery.cancel_scope.cancel()

    Network.run = run  # type: ignore[method-assign]
    return cli.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
