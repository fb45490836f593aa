"""Algorithm 1 under any order of messages, with one liar: one decision, and two on builds that leave out a rule."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import product

import pytest
from signing import precommit, prevote
from single import PRECOMMIT, PREVOTE, PROPOSE, Peer, V, W

from coterie.protocol.agreement.tendermint import Action, CastVote, Consensus, ProposeNow, Stage, StartTimeout
from coterie.protocol.messages.envelope import Verified
from coterie.protocol.messages.kinds import Prevote


@dataclass
class Gossip:
    """Three members and a liar, on a network that delays what it likes.

    For ten views a member hears each message of a view in time with probability 0.6, and precommits late; then the
    network heals. The liar supports in front of each member whatever that member was proposed, and in its own turn
    proposes to each something else. A proposal brings its polka along, as :mod:`.agreement` has it.
    """

    random: random.Random
    build: type[Consensus] = Consensus
    peers: list[Peer] = field(init=False)
    mail: list[tuple[int, Stage, Peer, Callable[[], None]]] = field(default_factory=list)
    timeouts: list[tuple[int, Stage, Callable[[], None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.peers = [Peer(place=place, build=self.build) for place in range(3)]

    def run(self, bad_views: int = 10) -> set[bytes]:
        """What was decided. After the bad views the network heals; whoever has not decided then can ask who has."""
        for peer in self.peers:
            self.spread(peer, peer.consensus.start() + peer.consensus.on_ready())
        for view in range(bad_views):
            for stage in Stage:
                self.deliver(lambda v, s, peer, now=(view, stage): (v, s) == now and self.random.random() < 0.6)
                for peer in self.peers:
                    self.lie(peer, stage, view)
                self.fire(view, stage)
            self.deliver(lambda v, s, peer: s is PRECOMMIT and self.random.random() < 0.4)
        for view, stage in product(range(bad_views, bad_views + 12), (*Stage, *Stage)):
            self.deliver(lambda v, s, peer: True)
            self.fire(view, stage)
        return {value for peer in self.peers if (value := peer.consensus.decided)}

    def deliver(self, may: Callable[[int, Stage, Peer], bool]) -> None:
        ready = [one for one in self.mail if may(*one[:3])]
        self.mail = [one for one in self.mail if one not in ready]
        self.random.shuffle(ready)
        for _, _, _, message in ready:
            message()

    def fire(self, view: int, stage: Stage) -> None:
        due = [one for one in self.timeouts if (one[0], one[1]) <= (view, stage)]
        self.timeouts = [one for one in self.timeouts if one not in due]
        for _, _, timeout in due:
            timeout()

    def spread(self, peer: Peer, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case ProposeNow(view=view, value=value, valid_view=valid_view):
                    votes = peer.consensus.prevotes(valid_view).values()
                    polka = [vote for vote in votes if vote.message == Prevote(value, None)]
                    value = value or self.random.choice((V, W))
                    self.tell_all(view, PROPOSE, "on_proposal", view, value, valid_view, True, polka)
                case CastVote(stage=stage, view=view, value=value):
                    make = prevote if stage is PREVOTE else precommit
                    self.tell_all(view, stage, "on_vote", make(peer.ids[peer.place], view, value))
                case StartTimeout(stage=stage, view=view):
                    self.timeouts.append((view, stage, lambda s=stage, v=view: self.tell(peer, "on_timeout", s, v)))

    def tell_all(self, view: int, stage: Stage, what: str, *facts: object) -> None:
        for peer in self.peers:
            self.mail.append((view, stage, peer, lambda p=peer: self.tell(p, what, *facts)))

    def tell(self, peer: Peer, what: str, *facts: object) -> None:
        self.spread(peer, getattr(peer.consensus, what)(*facts))

    def lie(self, peer: Peer, stage: Stage, view: int) -> None:
        if stage is PROPOSE and view % 4 == 3:
            value, valid_view = self.random.choice((V, W)), self.random.randint(-1, view - 1)
            self.tell(peer, "on_proposal", view, value, valid_view, True)
        at = peer.consensus._views.get(view)
        proposed = at.proposal[0] if at is not None and at.proposal else self.random.choice((V, W))
        if stage is not PROPOSE and self.random.random() < 0.8:
            make = prevote if stage is PREVOTE else precommit
            self.tell(peer, "on_vote", make(peer.ids[3], view, proposed))


def decisions(seed: int, build: type[Consensus] = Consensus) -> int:
    """How many different values were decided."""
    return len(Gossip(random.Random(seed), build).run())


def test_whatever_is_late_and_whatever_one_lies_all_that_is_decided_is_the_same() -> None:
    for seed in range(600):
        assert decisions(seed) == 1, f"seed {seed}"


@pytest.mark.soak
def test_whatever_is_late_and_whatever_one_lies_all_that_is_decided_is_the_same_soak() -> None:
    for seed in range(1_000, 21_000):
        assert decisions(seed) == 1, f"seed {seed}"


class WithoutLock(Consensus):
    """Line 22 without its second half."""

    def _line_22(self) -> bool:
        locked, self.locked = self.locked, None
        acted = super()._line_22()
        self.locked = locked
        return acted


class WithSmallPolka(Consensus):
    """Line 36 with one prevote less than a quorum."""

    def _polka(self, view: int, value: bytes, brought: Mapping[bytes, Verified] | None = None) -> bool:
        votes = [vote for vote in self.prevotes(view).values() if vote.message == Prevote(value, None)]
        return len(votes) >= self.committee.quorum - 1


@pytest.mark.parametrize("build", [WithoutLock, WithSmallPolka])
def test_the_same_runs_find_a_build_that_leaves_out_a_rule(build: type[Consensus]) -> None:
    assert any(decisions(seed, build) > 1 for seed in range(600))
