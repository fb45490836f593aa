"""Records a simulation as numbers: rounds, views, members that were named, and traffic."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...protocol.events import Event, NoticeKind, Step
from ...protocol.ledger.blocks import Contributors, Membership, Model, Void, read_block
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.contribution import read_metrics
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Ack, Precommit, Proposal
from ...protocol.records import BlockDecided
from ..engine.simulation import Observer
from ..engine.site import Site
from ..network.clock import START_MS

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..invariants.watching import Watch


@dataclass(slots=True)
class RoundRow:
    """One round. Times are virtual milliseconds since the start; -1 for what did not happen."""

    round: int
    began_ms: int
    contributors_ms: int = -1
    ended_ms: int = -1
    """When enough honest members had decided its end: as many as every quorum has at least (a quorum less the liars),
    but no more than are running."""
    outcome: str = "open"
    """decided, void or open."""
    reason: str = ""
    """Why the round is void."""
    contributors: int = 0
    members: int = 0
    aggregator: str = ""
    views: int = 0
    """Views beyond the first that its two decisions took."""
    bytes_a_peer: int = 0
    messages_a_peer: int = 0
    missed: tuple[str, ...] = ()
    """The members that a void round names."""
    loss: float | None = None
    """Loss of the weights that the round began with, over the members' test sets."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics of the same."""


@dataclass(slots=True)
class Timeline:
    """One round as lanes: (site, job, begin, end) of work, and (site, message, time) as marks.

    A message is given by the name of its class. Only "Ack" means an ack of all members' dealings; any other ack is an
    "Ack of some". Times are virtual milliseconds since the start.
    """

    round: int
    work: list[tuple[int, str, int, int]] = field(default_factory=list)
    marks: list[tuple[int, str, int]] = field(default_factory=list)


class Recorder(Observer):
    """Records a simulation; read its fields when the run has ended."""

    def __init__(self, timeline_round: int = 2, progress: Callable[[RoundRow], None] | None = None) -> None:
        self.rounds: dict[int, RoundRow] = {}
        self.timeline = Timeline(timeline_round)
        self.named: dict[str, dict[str, int]] = {}
        """By member and reason: how many sites named it."""
        self.evicted: list[str] = []
        self.crashes = 0
        self.watch: Watch | None = None
        """The watch over the invariants, if there is one."""
        self._progress = progress
        self._blocks: dict[int, Any] = {}
        self._acked: dict[int, tuple[int, int]] = {}
        """By site: how many dealings it has acked in the round of the timeline, and when it first said so."""
        self._decided: dict[int, set[bytes]] = {}
        """Members that have decided the end of a round, until it counts as ended."""
        self._committees: dict[int, Committee] = {}
        self._told: set[tuple[str, str, int]] = set()
        self._proposers: dict[tuple[int, int], bytes] = {}
        self._sent = (0, 0)

    def on_begin(self, simulation: "Simulation") -> None:
        self._simulation = simulation
        self._label = {site.key: str(site.label) for site in simulation.sites}

    def on_crash(self, site: Site) -> None:
        self.crashes += 1
        for round_ in sorted(self._decided):
            self._see_whether_ended(round_)

    def on_end(self) -> None:
        """End the rounds that some members decided and the others never heard of."""
        for round_ in sorted(self._decided):
            self._on_ended(round_)

    def on_work(self, site: Site, label: str, begin_ms: int, end_ms: int) -> None:
        if site.node is not None and site.node.state.round == self.timeline.round and len(self.timeline.work) < 20_000:
            self.timeline.work.append((site.number, label, begin_ms - START_MS, end_ms - START_MS))

    def on_send(self, site: Site, receiver: Site, message: Verified, blob: bytes | None) -> None:
        if isinstance(message.message, Proposal):
            self._proposers.setdefault((message.height, message.view), message.sender)
        if site.node is not None and site.node.state.round == self.timeline.round:
            what = type(message.message).__name__
            if isinstance(message.message, Ack):
                what = self._which_ack(site, message.message)
            mark = (site.number, what, self._simulation.clock.elapsed_ms)
            if what and (not self.timeline.marks or self.timeline.marks[-1] != mark):
                self.timeline.marks.append(mark)

    def _which_ack(self, site: Site, ack: Ack) -> str:
        """Return the name of an ack in the timeline; empty for one that is left out.

        Members repeat their acks. Only an ack that names more dealings than those before is of interest.
        """
        count, at_ms = self._acked.get(site.number, (0, 0))
        now = self._simulation.clock.elapsed_ms
        if len(ack.dealings) < count or (len(ack.dealings) == count and now > at_ms):
            return ""
        self._acked[site.number] = (len(ack.dealings), now)
        assert site.node is not None
        return "Ack" if len(ack.dealings) == site.node.state.committee.n else "Ack of some"

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        for notice in step.notify:
            if notice.kind == NoticeKind.FAULT and site.is_honest and notice.facts.get("member") in self._label:
                self._name(site, self._label[notice.facts["member"]], notice.text)
            elif notice.kind == NoticeKind.ROUND:
                now = self._simulation.clock.elapsed_ms
                row = self.rounds.setdefault(notice.facts["round"], RoundRow(notice.facts["round"], now))
                row.members = notice.facts["members"]
                self._note_committee(site, row.round)
        if site.is_honest:
            for record in step.persist:
                if isinstance(record, BlockDecided):
                    self._on_block(site, record)

    def _name(self, site: Site, who: str, text: str) -> None:
        # The reason is the same in each round and view: leave out the parts of the text that say where it was.
        what = text.split(": ", 1)[-1].split(", height")[0].split(" at height")[0].split(" in view")[0]
        if (who, what, site.number) not in self._told:
            self._told.add((who, what, site.number))
            known = self.named.setdefault(who, {})
            known[what] = known.get(what, 0) + 1

    def _on_block(self, site: Site, record: BlockDecided) -> None:
        if record.height not in self._blocks:
            self._blocks[record.height] = read_block(record.block).body
            self._on_new_block(site, record, self._blocks[record.height])
        body = self._blocks[record.height]
        if isinstance(body, Model | Void) and self.rounds[body.round].ended_ms < 0:
            self._decided.setdefault(body.round, set()).add(site.key)
            self._see_whether_ended(body.round)

    def _note_committee(self, site: Site, round_: int) -> None:
        """Note the committee of a round: the members in the ledger when it begins."""
        assert site.node is not None
        self._committees.setdefault(round_, site.node.state.committee)

    def _see_whether_ended(self, round_: int) -> None:
        committee = self._committees[round_]
        honest = [site for site in self._simulation.honest if committee.index(site.key) is not None]
        running = sum(site.node is not None for site in honest)
        wanted = max(1, min(committee.quorum - (committee.n - len(honest)), running))
        if len(self._decided[round_]) >= wanted:
            self._on_ended(round_)

    def _on_new_block(self, site: Site, record: BlockDecided, body: Any) -> None:
        now = self._simulation.clock.elapsed_ms
        vote = self._simulation.known(record.certificate[0])
        views = vote.view if vote is not None and isinstance(vote.message, Precommit) else 0
        if isinstance(body, Membership):
            self.evicted += [self._label.get(one.member, "?") for one in body.changes if hasattr(one, "member")]
            return
        row = self.rounds.setdefault(body.round, RoundRow(body.round, now))
        row.views += views
        self._note_committee(site, body.round)
        node = site.node
        assert node is not None
        match body:
            case Contributors():
                row.contributors_ms, row.contributors = now, len(body.dealers)
            case Model():
                row.outcome = "decided"
                if node.state.sums is not None and not node.state.genesis.setup_sums:
                    found = read_metrics(node.state.genesis, node.state.sums)
                    row.loss, row.metrics = found.loss, dict(found.named)
            case Void():
                row.outcome, row.reason = "void", body.reason
                row.missed = tuple(self._label.get(name, "?") for name in body.names)
        row.aggregator = self._label.get(self._proposers.get((record.height, views), b""), "")

    def _on_ended(self, round_: int) -> None:
        del self._decided[round_]
        row = self.rounds[round_]
        row.ended_ms = self._simulation.clock.elapsed_ms
        sites = self._simulation.sites
        sent = (sum(site.sent_bytes for site in sites), sum(site.sent_messages for site in sites))
        row.bytes_a_peer = (sent[0] - self._sent[0]) // len(sites)
        row.messages_a_peer = (sent[1] - self._sent[1]) // len(sites)
        self._sent = sent
        if self._progress is not None:
            self._progress(row)
