"""Thirteen ways to cut a network, as scripts that wait for their moment.

A script says which messages are lost, from when until when. Every cut heals, so a decision has to follow.
"""

import random
from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Contributors, read_block
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import JoinRequest, Precommit, Prevote, SumShare
from ...protocol.records import BlockDecided
from ..engine.simulation import Observer

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

__all__ = ["PARTITIONS", "LoneDecision", "Partition"]

CUT_MS: Final = 9_000
"""How long a cut lasts: several views."""


class Partition(Observer):
    """A cut of the network. Override :meth:`blocks`, and :meth:`begin` for a cut that waits for something."""

    name = ""
    begins_ms = 400

    def on_begin(self, simulation: "Simulation") -> None:
        self.simulation = simulation
        self.random = random.Random(f"partition {simulation.seed} {self.name}")
        self.numbers = [site.number for site in simulation.sites]
        self.random.shuffle(self.numbers)
        self.is_cut = False
        self.was_cut = False
        self.begin()

    def begin(self) -> None:
        """Schedule the cut."""
        self.simulation.clock.after(self.begins_ms + self.random.randint(0, 1500), self.cut)

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        """Whether a message is lost while the network is cut; ``message`` is None for the link itself."""
        raise NotImplementedError

    def cut(self, for_ms: int = CUT_MS) -> None:
        """Cut the network, and heal it after ``for_ms``."""
        if self.is_cut:
            return
        self.is_cut = self.was_cut = True
        self.simulation.blocked = self.blocks
        self.simulation.tell(f"the network is cut: {self.name}")
        self.simulation.detect_later()
        self.simulation.clock.after(for_ms, self.heal)

    def cut_once(self) -> None:
        """Cut the network, unless it was cut before."""
        if not self.was_cut:
            self.cut()

    def heal(self) -> None:
        """Let everything through again."""
        self.is_cut = False
        self.simulation.blocked = None
        self.simulation.tell("the network is whole again")
        self.simulation.detect_later()

    def separates(self, source: int, target: int, first: int) -> bool:
        """Whether two sites are on different sides of a cut between the first ``first`` shuffled sites and the rest."""
        side = set(self.numbers[:first])
        return (source in side) != (target in side)


class Halves(Partition):
    """Two halves; neither is a quorum."""

    name = "halves"

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, len(self.numbers) // 2)


class OneAway(Partition):
    """One member alone, the rest a quorum."""

    name = "one-away"

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, 1)


class ProposerAway(Partition):
    """The first proposer of each height is alone."""

    name = "proposer-away"
    _away: int | None = None

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        """Move the cut with the proposer, and have the failure detectors look."""
        if self.is_cut and step.persist and self._away != self._proposer():
            self._away = self._proposer()
            self.simulation.tell(f"the network is cut: {self.name}")
            self.simulation.detect_later()

    def _proposer(self) -> int | None:
        nodes = [site.node for site in self.simulation.sites if site.node is not None]
        return self.simulation.by_key[nodes[0].state.proposer(0)].number if nodes else None

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        proposer = self._proposer()
        return (source == proposer) != (target == proposer)


class Flapping(Partition):
    """Two halves, cut and healed in quick turns."""

    name = "flapping"

    def begin(self) -> None:
        for turn in range(8):
            self.simulation.clock.after(300 + 1100 * turn, self.cut, 550)

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, len(self.numbers) // 2)


class OneWay(Partition):
    """One side hears the other and is not heard."""

    name = "one-way"

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        side = set(self.numbers[: len(self.numbers) // 2])
        return message is not None and source in side and target not in side


class RingOnly(Partition):
    """Every member reaches two neighbours only."""

    name = "ring-only"

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        places = {number: place for place, number in enumerate(self.numbers)}
        return (places[source] - places[target]) % len(places) not in (1, len(places) - 1)


class Bridge(Partition):
    """Two halves that share one member, which does not relay."""

    name = "bridge"

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        bridge = self.numbers[0]
        return bridge not in (source, target) and self.separates(source, target, 1 + len(self.numbers) // 2)


class AtVotes(Partition):
    """Cut for a moment whenever the first prevote or the first precommit of a view is on its way."""

    name = "at-votes"

    def begin(self) -> None:
        self._seen: set[tuple[int, int, str]] = set()

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, Prevote | Precommit) and len(self._seen) < 12:
            key = (message.height, message.view, type(message.message).__name__)
            if key not in self._seen:
                self._seen.add(key)
                self.random.shuffle(self.numbers)
                self.cut(700)

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return message is not None and self.separates(source, target, len(self.numbers) // 2)


class LoneDecision(Partition):
    """One member decides by itself: it hears the precommits, nobody hears its own, and then it is alone.

    The others should be locked on the block that it decided. Only the lock rule keeps them from deciding another one.
    """

    name = "lone-decision"

    def begin(self) -> None:
        self._lucky = self._height = -1
        self._has_decided = False

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        if (
            isinstance(message.message, Precommit)
            and message.message.block_hash
            and not self.was_cut
            and site.is_honest
        ):
            self._lucky, self._height = site.number, message.height
            self.cut(2 * CUT_MS)

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        if site.number == self._lucky and any(isinstance(record, BlockDecided) for record in step.persist):
            self._has_decided = True

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        if self._has_decided:
            return self._lucky in (source, target)
        return source == self._lucky and message is not None and isinstance(message.message, Precommit)


class AfterDecision(Partition):
    """Cut off the first member that decides the contributors: most others have not, and none has released a sum."""

    name = "after-decision"

    def begin(self) -> None:
        """Wait for the decision."""

    def on_step(self, site: "Site", event: Event, step: Step) -> None:
        if self.was_cut:
            return
        for record in step.persist:
            if isinstance(record, BlockDecided) and isinstance(read_block(record.block).body, Contributors):
                self.numbers.remove(site.number)
                self.numbers.insert(0, site.number)
                self.cut_once()

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, 1)


class MidRelease(Partition):
    """Cut when the first sum shares are on their way."""

    name = "mid-release"

    def begin(self) -> None:
        self._sent = 0

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, SumShare):
            self._sent += 1
            if self._sent == 2:
                self.cut_once()

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, len(self.numbers) // 2)


class DuringJoin(Partition):
    """Cut when a newcomer asks to be admitted; in a federation that exists already, also at a set time."""

    name = "during-join"

    def begin(self) -> None:
        if self.simulation.setup.is_founded:
            super().begin()

    def on_send(self, site: "Site", receiver: "Site", message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, JoinRequest) and not self.was_cut:
            self.was_cut = True
            self.simulation.clock.after(self.random.randint(1, 60), self.cut)

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, len(self.numbers) // 2)


class RestartCut(Partition):
    """A member crashes while the network is cut, and comes back before it is whole."""

    name = "restart-cut"

    def cut(self, for_ms: int = CUT_MS) -> None:
        super().cut(for_ms)
        victim = self.simulation.sites[self.numbers[0]]
        self.simulation.clock.after(1_000, self.simulation.crash, victim, 2_500)

    def blocks(self, source: int, target: int, message: Verified | None) -> bool:
        return self.separates(source, target, len(self.numbers) // 2)


PARTITIONS: Final[dict[str, type[Partition]]] = {
    one.name: one
    for one in (
        Halves,
        OneAway,
        ProposerAway,
        Flapping,
        OneWay,
        RingOnly,
        Bridge,
        AtVotes,
        LoneDecision,
        AfterDecision,
        MidRelease,
        DuringJoin,
        RestartCut,
    )
}
"""The scripts by the names that ``--partition`` takes."""
