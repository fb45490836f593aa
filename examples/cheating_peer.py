"""`peer`, but its sums are false in some rounds: `cheating_peer.py 3,4 start …`, for the demo and the tests.

The low bit of its sum of shares is wrong in these rounds, and with it the fingerprint in its prevote: the other
members see a consistent lie. It harms nobody but itself: it is named and, where the federation evicts on proof,
removed. None of this is in the package that is installed: it wraps one method and then runs the command line.
"""

import sys
from dataclasses import replace

from coterie.peer.cli import main as cli
from coterie.peer.driving.workers import Workers
from coterie.protocol.events import Work, WorkDone
from coterie.protocol.jobs import SumShares
from coterie.protocol.messages.encoding import digest_of


def falsified(work: Work, done: WorkDone, rounds: frozenset[int]) -> WorkDone:
    """Return the outcome of a job, false where it is a sum of one of these rounds."""
    if not isinstance(work, SumShares) or work.round not in rounds or done.error is not None:
        return done
    data = bytearray(done.result[0])
    data[0] ^= 1  # still a canonical element of the field
    return replace(done, result=(bytes(data), digest_of(data)))


def main(rounds: str, arguments: list[str]) -> int:
    """Run `peer` with these arguments, and cheat in these rounds."""
    lying = frozenset(map(int, rounds.split(",")))
    honest = Workers.run

    async def run(self: Workers, work: Work) -> WorkDone:
        return falsified(work, await honest(self, work), lying)

    Workers.run = run  # type: ignore[method-assign]
    return cli.main(arguments)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
