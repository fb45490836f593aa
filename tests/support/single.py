"""One member's agreement machine, which hears from the others what a test writes down by hand."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from signing import block, members, precommit, prevote

from coterie.crypto.identity.identity import Identity
from coterie.protocol.agreement.tendermint import Action, CastVote, Consensus, Stage
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.messages.envelope import Verified

V, W = block("v"), block("w")
PROPOSE, PREVOTE, PRECOMMIT = Stage.PROPOSE, Stage.PREVOTE, Stage.PRECOMMIT


def any_polka(value: bytes, votes: Mapping[bytes, Verified]) -> bool:
    return True


@dataclass(eq=False)
class Peer:
    """A member's state machine, with its own votes handed back to it as its node does."""

    n: int = 4
    place: int = 3
    """Place among the members; the proposer of view v is the one at v mod n."""
    proves: Callable[[bytes, Mapping[bytes, Verified]], bool] = any_polka
    build: type[Consensus] = Consensus
    consensus: Consensus = field(init=False)
    ids: list[Identity] = field(init=False)

    def __post_init__(self) -> None:
        self.ids = members(self.n)
        keys = tuple(one.public for one in self.ids)
        self.consensus = self.build(
            Committee(keys), keys[self.place], lambda view: keys[view % self.n], lambda *polka: self.proves(*polka)
        )

    def begin(self) -> list[Action]:
        return self.carry_out(self.consensus.start()) + self.carry_out(self.consensus.on_ready())

    def proposal(
        self, view: int, value: bytes, valid_view: int = -1, is_valid: bool = True, polka: Sequence[int] = ()
    ) -> list[Action]:
        brought = [prevote(self.ids[place], valid_view, value) for place in polka]
        return self.carry_out(self.consensus.on_proposal(view, value, valid_view, is_valid, brought))

    def prevotes(self, view: int, value: bytes | None, *places: int) -> list[Action]:
        return self.votes(prevote(self.ids[place], view, value) for place in places)

    def precommits(self, view: int, value: bytes | None, *places: int) -> list[Action]:
        return self.votes(precommit(self.ids[place], view, value) for place in places)

    def votes(self, votes: Iterable[Verified]) -> list[Action]:
        return [action for vote in votes for action in self.carry_out(self.consensus.on_vote(vote))]

    def timeout(self, stage: Stage, view: int) -> list[Action]:
        return self.carry_out(self.consensus.on_timeout(stage, view))

    def carry_out(self, actions: list[Action]) -> list[Action]:
        done: list[Action] = []
        for action in actions:
            done.append(action)
            if isinstance(action, CastVote):
                make = prevote if action.stage is PREVOTE else precommit
                own = make(self.ids[self.place], action.view, action.value)
                done += self.carry_out(self.consensus.on_vote(own))
        return done


def begun(n: int = 4, place: int = 3) -> Peer:
    peer = Peer(n, place)
    peer.begin()
    return peer


def locked_on(value: bytes, view: int = 0) -> Peer:
    """A peer that is locked on ``value`` since ``view`` and then went to the next view without a decision."""
    peer = begun()
    for earlier in range(view):
        peer.timeout(PRECOMMIT, earlier)
    peer.proposal(view, value)
    peer.prevotes(view, value, 0, 1)
    assert peer.consensus.locked == (value, view)
    peer.timeout(PRECOMMIT, view)
    return peer
