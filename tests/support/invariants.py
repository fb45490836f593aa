"""What must hold after every step of a federation, whatever its network, its power supply and its liars do.

:data:`INVARIANTS` lists it. A :class:`Watch` looks at each new record of an honest member when it becomes durable, and
at each of its messages before it leaves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from cluster import Cluster, Site

from coterie.crypto.vectors import add_into
from coterie.protocol.events import Notice, Send
from coterie.protocol.ledger.blocks import Contributors, Model, block_hash, read_block
from coterie.protocol.ledger.state import LedgerState, apply, check_certificate, genesis_state
from coterie.protocol.limits import MAX_CHECKED_VECTORS, MAX_FUTURE_MESSAGES_PER_MEMBER, VIEW_HISTORY, VIEW_WINDOW
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import Ack, CertifiedBlock, Deal, Precommit, Prevote, SumShare, dealing_id
from coterie.protocol.records import BlockDecided, Dealt, Record, Released, ShareHeld, VoteCast

INVARIANTS = {
    "agreement": "one decision a height; ledgers are prefixes of each other",
    "certificate": "every decided block has a quorum's precommits, and follows from the blocks before it",
    "sign once": "one vote a height, view and kind, across restarts",
    "release once": "one sum a round, and only for contributors that are decided",
    "exact": "a decided sum is that of the vectors that its contributors dealt",
    "repeated": "sums decided on one base model differ in members that lie, and in nobody else",
    "durable": "whatever is sent follows from what is on the disk",
    "innocent": "nobody honest is accused",
    "bounded": "what a member holds of others stays under its caps",
}


@dataclass
class _Seen:
    """What was read of one disk."""

    records: int = 0
    notices: int = 0
    height: int = 0
    votes: dict[tuple[int, int, int], bytes] = field(default_factory=dict)
    envelopes: set[bytes] = field(default_factory=set)
    released: dict[int, bytes] = field(default_factory=dict)
    dealt: dict[int, bytes] = field(default_factory=dict)
    shares: set[tuple[int, bytes, bytes]] = field(default_factory=set)
    """By round and dealer, the id of the dealing of which a share is held."""


class Watch:
    """Checks a cluster while it runs."""

    def __init__(self, cluster: Cluster, guilty: frozenset[bytes] = frozenset()) -> None:
        """``guilty``: who may be accused, and is not looked at."""
        self.cluster = cluster
        self.guilty = guilty
        self.states: list[LedgerState] = [genesis_state(cluster.genesis)]
        self.blocks: list[bytes] = []
        self.decided: set[bytes] = set()
        """Digests of the contributor sets that are decided."""
        self.models = 0
        self._summed: dict[tuple[bytes, bool], frozenset[bytes]] = {}
        """The honest contributors of the first sum decided on a base model, and in setup or not."""
        self._seen = {site.number: _Seen() for site in cluster.sites}
        cluster.after_step = self.look
        cluster.before_send = self.before_send

    def look(self, site: Site) -> None:
        """Check what a step has written and told."""
        if site.identity.public in self.guilty:
            return
        seen = self._seen[site.number]
        for record in site.disk.records[seen.records :]:
            self._record(site, seen, record)
        seen.records = len(site.disk.records)
        for notice in site.notices[seen.notices :]:
            self._notice(site, notice)
        seen.notices = len(site.notices)
        if site.node is not None:
            _bounded(site)

    def _record(self, site: Site, seen: _Seen, record: Record) -> None:
        match record:
            case BlockDecided():
                seen.height += 1
                assert record.height == seen.height, f"agreement: peer {site.number} decided {record.height} again"
                self._decide(site, record)
            case VoteCast(height=height, view=view, kind=kind, envelope=envelope):
                first = seen.votes.setdefault((height, view, kind), envelope)
                assert first == envelope, f"sign once: peer {site.number} at {(height, view, kind)}"
                seen.envelopes.add(envelope)
            case Released(round=round_, contributors=contributors):
                first = seen.released.setdefault(round_, contributors)
                assert first == contributors, f"release once: peer {site.number} in round {round_}"
                assert contributors in self.decided, f"release once: peer {site.number}, for undecided contributors"
            case Dealt(round=round_, vector=vector):
                assert seen.dealt.setdefault(round_, vector) == vector, f"durable: peer {site.number} dealt twice"
            case ShareHeld(round=round_, dealer=dealer, deal=raw):
                deal = verify(raw, self.cluster.genesis.federation)
                assert isinstance(deal, Verified), f"durable: peer {site.number} holds a share of no dealing"
                assert isinstance(deal.message, Deal), f"durable: peer {site.number} holds a share of no dealing"
                dealing = dealing_id(self.cluster.genesis.federation, dealer, deal.message)
                seen.shares.add((round_, dealer, dealing))

    def _decide(self, site: Site, record: BlockDecided) -> None:
        height = record.height
        if height == len(self.states):
            check_certificate(self.states[-1], CertifiedBlock(record.block, record.certificate))
            before, after = self.states[-1], apply(self.states[-1], record.block)
            self.states.append(after)
            self.blocks.append(record.block)
            body = read_block(record.block).body
            if isinstance(body, Contributors):
                self.decided.add(body.digest())
                self._repeated(before, body)
            if isinstance(body, Model):
                assert before.contributors is not None
                self._exact(before, body)
        assert block_hash(record.block) == self.states[height].head, f"agreement: height {height}, peer {site.number}"
        check_certificate(self.states[height - 1], CertifiedBlock(record.block, record.certificate))

    def _repeated(self, before: LedgerState, body: Contributors) -> None:
        summed = frozenset(before.committee.members[index] for index, _ in body.dealers) - self.guilty
        first = self._summed.setdefault((before.weights, before.kind == "setup"), summed)
        assert first == summed or body.scheme == "plain", f"repeated: round {before.round} sums over another set"

    def _exact(self, before: LedgerState, body: Model) -> None:
        assert before.contributors is not None
        vectors = self.dealt(before.round)
        members = [before.committee.members[index] for index, _ in before.contributors.dealers]
        self.models += 1
        if self.guilty & set(members):
            return  # what such a one dealt, nobody knows
        total = np.frombuffer(vectors[members[0]], dtype=np.uint64).copy()
        for member in members[1:]:
            add_into(total, np.frombuffer(vectors[member], dtype=np.uint64))
        assert digest_of(total.tobytes()) == body.vector, f"exact: round {before.round}"

    def dealt(self, round_: int) -> Mapping[bytes, bytes]:
        """The vectors of a round by member, as they are on the disks."""
        return {
            site.identity.public: record.vector
            for site in self.cluster.sites
            for record in site.disk.records
            if isinstance(record, Dealt) and record.round == round_
        }

    def _notice(self, site: Site, notice: Notice) -> None:
        accused = notice.facts.get("member")
        innocent = notice.kind == "fault" and accused not in self.guilty and (accused is not None or not self.guilty)
        assert not innocent, f"innocent: peer {site.number} says: {notice.text}"

    def before_send(self, site: Site, send: Send) -> None:
        """Check that a message follows from the disk; it leaves after the records of its step were written."""
        if site.identity.public in self.guilty:
            return
        self.look(site)
        seen = self._seen[site.number]
        message = verify(send.envelope, self.cluster.genesis.federation)
        assert isinstance(message, Verified), f"peer {site.number} sends what nobody can read: {message}"
        if message.sender == site.identity.public:
            assert _follows(message, seen, self.states), f"durable: peer {site.number} sends {message.message!r}"


def _follows(message: Verified, seen: _Seen, states: list[LedgerState]) -> bool:
    match message.message:
        case Prevote() | Precommit():
            return message.raw in seen.envelopes
        case SumShare(round=round_, contributors=contributors):
            return seen.released.get(round_) == contributors
        case Deal(round=round_):
            return round_ in seen.dealt
        case Ack(round=round_, dealings=dealings):
            members = next(state.committee.members for state in reversed(states) if state.round == round_)
            return all(
                (round_, members[dealer], dealing) in seen.shares or members[dealer] == message.sender
                for dealer, dealing in dealings
            )
        case _:
            return True


def _bounded(site: Site) -> None:
    assert site.node is not None
    agreement, inbox, summing = site.node._agreement, site.node._inbox, site.node.ctx.summing
    assert all(len(queue) <= MAX_FUTURE_MESSAGES_PER_MEMBER for queue in inbox._kept.values()), "bounded: inbox"
    sharing = site.node.ctx.sharing
    if sharing is not None:
        n, per_dealer = sharing.committee.n, sharing.custody.per_dealer
        dealers = [dealer for dealer, _ in sharing.custody._boxes]
        assert all(dealers.count(one) <= per_dealer for one in set(dealers)), "bounded: boxes that are kept"
        assert sharing.custody.count_early <= n * (n + per_dealer), "bounded: boxes that came early"
    if summing is not None:
        checked = summing.checked.keys() | summing._running
        assert len(checked) <= MAX_CHECKED_VECTORS, "bounded: sums"
        assert len(summing._deferred.keys() - checked) <= MAX_CHECKED_VECTORS, "bounded: sums that wait"
    if agreement is not None:
        assert len(agreement.consensus._views) <= VIEW_WINDOW + VIEW_HISTORY + 2, "bounded: views"
        assert len(agreement._candidates) <= VIEW_WINDOW + VIEW_HISTORY + 2, "bounded: candidates"
