"""What does a round cost a peer, from ten members to a thousand?

Up to --measured members the shares are real: every share is dealt, checked, summed and opened, and what all of that
takes on this machine is divided among the members. All sizes are played with ideal shares as well: the same messages,
sizes and virtual times without their arithmetic. Where both were played they can be compared. Each size is a
federation of its own in the simulator, in which all members are linked to each other at 20 to 80 ms and 100 Mbit/s. The
table is about the second round: in the first, not all are linked yet. The CPU time includes the simulator's own.

With real shares 200 members take some minutes, with ideal ones 1,000 take most of an hour.

Run: python examples/many_clients.py [--out FILE.png] [--sizes 10 25 50 100 200 400 1000 --measured 200]
"""

import time
from dataclasses import dataclass
from pathlib import Path

from telling import arguments, logarithmic, picture, table

from coterie.topology import simulate
from coterie.topology.network.graphs import MAX_PEERS
from coterie.topology.reporting.pictures import BLUE, ORANGE

ROUNDS, PARAMETERS = 2, 10_000


@dataclass(frozen=True)
class Price:
    """What a round costs a peer of a federation of that size."""

    members: int
    is_real: bool
    messages: int
    megabytes: float
    seconds: float
    cpu_ms: float


def price(members: int, is_real: bool) -> Price:
    """Play the rounds of one size."""
    start = time.process_time()
    result = simulate(
        topology="complete", peers=members, rounds=ROUNDS, parameters=PARAMETERS, ideal_crypto=not is_real, seed=1
    )
    spent = time.process_time() - start
    if result.decided < ROUNDS:
        raise SystemExit(f"{members} members: {result.decided} of {ROUNDS} rounds decided: {result.unfinished}")
    last = result.rounds[-1]
    seconds = (last.ended_ms - last.began_ms) / 1000
    return Price(
        members, is_real, last.messages_a_peer, last.bytes_a_peer / 1e6, seconds, 1000 * spent / ROUNDS / members
    )


def main() -> None:
    """Measure the small ones, simulate all."""
    given = arguments(
        __doc__,
        sizes=((10, 20, 40, 80), "members of each federation"),
        measured=(40, "members up to which real shares are played, too"),
    )
    sizes = sorted(set(given.sizes))
    if not 3 <= sizes[0] <= sizes[-1] <= MAX_PEERS:
        raise SystemExit(f"--sizes {' '.join(map(str, sizes))}: a federation trains with 3 to {MAX_PEERS} members")
    simulate(topology="complete", peers=3, rounds=1, parameters=PARAMETERS)  # compiles, which is not to be measured
    prices = [price(size, real) for size in sizes for real in (True, False) if not real or size <= given.measured]
    cells = [
        (
            one.members,
            "real" if one.is_real else "ideal",
            one.messages,
            f"{one.megabytes:.2f}",
            f"{one.seconds:.2f}",
            f"{one.cpu_ms:.1f}",
        )
        for one in prices
    ]
    columns = ("members", "shares", "messages sent", "MB sent", "seconds (virtual)", "CPU ms (here)")
    table(f"what a round of {PARAMETERS:,} parameters costs a peer", columns, cells)
    ideal = [one for one in prices if not one.is_real]
    more, messages, megabytes = (
        getattr(ideal[-1], what) / getattr(ideal[0], what) for what in ("members", "messages", "megabytes")
    )
    print(
        f"\n{more:.1f} times the members: {messages:.1f} times the messages of a peer, {megabytes:.1f} times its bytes."
    )
    print(
        "A committee of holders would spare a peer most of its boxes; the protocol has none, so nobody can measure it."
    )
    draw(given.out, prices, sizes)


def draw(out: Path | None, prices: list[Price], sizes: list[int]) -> None:
    """Costs against members, on logarithmic axes."""
    panels = (
        ("messages", "messages sent"),
        ("megabytes", "data sent (MB)"),
        ("cpu_ms", "CPU time on this machine (ms)"),
    )
    with picture(out, len(panels)) as axes:
        for axis, (field, label) in zip(axes, panels, strict=False):
            for is_real, marker, colour in ((False, "s-", BLUE), (True, "o--", ORANGE)):
                some = [one for one in prices if one.is_real is is_real]
                called = f"{'real' if is_real else 'ideal'} shares"
                values = [getattr(one, field) for one in some]
                axis.plot([one.members for one in some], values, marker, color=colour, label=called)
            logarithmic(axis, sizes)
            axis.set(xlabel="members", ylabel=label, title=f"A peer in a round: {label.split(' (')[0].split(' on')[0]}")
            axis.legend(frameon=False)


if __name__ == "__main__":
    main()
