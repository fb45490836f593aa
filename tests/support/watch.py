"""The simulator's invariants, over a cluster of tests: the first violation ends the run, as in a sweep."""

from collections.abc import Mapping

from cluster import Cluster

from coterie.protocol.ledger.blocks import Model, read_block
from coterie.protocol.ledger.state import LedgerState, apply, genesis_state
from coterie.protocol.records import Dealt
from coterie.topology.invariants import CHECKERS

_BY_TIME = frozenset({"liveness", "progress", "counted", "blame"})
"""What holds only where the network is quick and whole: tests that drop messages say themselves what comes of it."""

BROKEN: frozenset[str] = frozenset()
"""The names of invariants that a weakened build of a test breaks."""


class Watch:
    """Checks a cluster while it runs."""

    def __init__(self, cluster: Cluster, guilty: frozenset[bytes] = frozenset()) -> None:
        """Watch a cluster that has not started yet; ``guilty``: the members that lie."""
        self.cluster = cluster
        for site in cluster.sites:
            site.is_liar = site.key in guilty
        checkers = [kind() for kind in CHECKERS if kind.name not in _BY_TIME | BROKEN]
        for one in checkers:
            one.on_begin(cluster.simulation)
        cluster.simulation.watch(*checkers)

    @property
    def blocks(self) -> list[bytes]:
        """The longest ledger of an honest member."""
        longest = max((site for site in self.cluster.sites if site.is_honest), key=lambda site: len(site.disk.blocks))
        return [one.block for one in longest.disk.blocks]

    @property
    def states(self) -> list[LedgerState]:
        """The states of that ledger, by height."""
        states = [genesis_state(self.cluster.genesis)]
        for block in self.blocks:
            states.append(apply(states[-1], block))
        return states

    @property
    def models(self) -> int:
        """The number of sums that were decided, each of which was compared with what its contributors dealt."""
        return sum(isinstance(read_block(block).body, Model) for block in self.blocks)

    def dealt(self, round_: int) -> Mapping[bytes, bytes]:
        """The vectors of a round by member, as they are on the disks."""
        return {
            site.key: record.vector
            for site in self.cluster.sites
            for record in site.disk.records
            if isinstance(record, Dealt) and record.round == round_
        }
