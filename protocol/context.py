"""The state that the parts of one node share."""

from dataclasses import dataclass, field

from ..crypto.identity.identity import Identity
from .early_messages import EarlyMessages
from .effects import Effects
from .ledger.blocks import Evict
from .ledger.evidence import CONTRADICTIONS, Contradiction, contradiction
from .ledger.state import LedgerState
from .messages.envelope import Verified
from .messages.kinds import Accusation, Ack, Deal
from .pending_changes import PendingChanges
from .round.overdue_acks import OverdueAcks
from .round.sharing import Sharing
from .round.summing import Summing
from .vote_guard import VoteGuard


@dataclass(slots=True)
class Context:
    """The state of one member. Each part changes its own fields and reads the others."""

    identity: Identity
    out: Effects
    state: LedgerState
    weights: bytes | None = field(default=None, repr=False)
    """The model that ``state.weights_hash`` names; None until it is here."""
    now_ms: int = 0
    alive: set[bytes] = field(default_factory=set)
    """Peers that the failure detector has a link to, members or not."""
    alive_changes: int = 0
    """Counts the changes of ``alive``, so that results that depend on it are computed once for each change."""
    pool: PendingChanges = field(default_factory=PendingChanges)
    guard: VoteGuard = field(default_factory=VoteGuard)
    early: EarlyMessages = field(default_factory=EarlyMessages)
    sharing: Sharing | None = None
    summing: Summing | None = None
    """The halves of the round that are open; :class:`.handlers.rounds.RoundPhases` opens them."""
    just_changed: bool = False
    """Whether the last block left the round and its phase as they were, so it changed the membership."""
    capped_examples: int = 0
    """The last number of examples beyond the cap that the operator was told of."""
    patience: OverdueAcks = field(default_factory=OverdueAcks)
    released: dict[int, bytes] = field(default_factory=dict)
    """By round, the contributor set whose sum was released (safety rule 1, durable); without rounds that are over."""

    accused: set[tuple[bytes, Contradiction, int]] = field(default_factory=set)
    """Contradictions that all members were told of: the offender, the kind, and the round if it is the current one (-1
    otherwise).

    Each is told once. Where nobody is evicted on proof the pool forgets it, and members would tell one another for
    ever. But a contradiction of the current round decides who contributes to it, so it is told whatever else its author
    was accused of before.
    """

    told: list[tuple[int, Accusation]] = field(default_factory=list, repr=False)
    """Accusations that decide who contributes to a round, with the round; they are repeated as long as it lasts."""

    def on_up(self, member: bytes) -> None:
        """Note a living link to a peer."""
        self.alive.add(member)
        self.alive_changes += 1

    def on_down(self, member: bytes) -> None:
        """Note that the link to a peer is lost."""
        self.alive.discard(member)
        self.alive_changes += 1

    def accuse(self, first: Verified, second: Verified) -> None:
        """Accuse the author of two statements that contradict each other, before the operator and all members.

        Nothing happens if they do not contradict each other, or if this was told before.
        """
        found = contradiction((first, second))
        if found is None:
            return
        offender, what = found
        is_now = isinstance(first.message, Deal | Ack) and first.message.round == self.state.round
        if offender in self.state.gone and self.state.committee.index(offender) is None:
            is_now = False  # the offender has no part in the round
        if not is_now and not self.state.may_be_evicted(offender):
            return  # an evicted member could be accused of ever new contradictions in other rounds
        place = (offender, what, self.state.round if is_now else -1)
        if place in self.accused or (not is_now and any(one[:2] == place[:2] for one in self.accused)):
            return
        self.accused.add(place)
        facts = {what.replace("-", "_"): True}
        self.out.fault(offender, f"{CONTRADICTIONS[what]} (height {first.height})", **facts)
        self.pool.add_eviction(Evict(offender, what, (first.raw, second.raw)))
        # All members have to know, or some would leave the offender out of the round and others would not.
        accusation = Accusation(first.raw, second.raw)
        if is_now:
            self.told.append((self.state.round, accusation))
        self.out.send(None, accusation)

    def convict(self, deal: Verified) -> None:
        """Accuse the author of a dealing of this round with a false proof, which is evidence by itself."""
        self.pool.add_eviction(Evict(deal.sender, "false-proof", (deal.raw,)))
        # As above, all members have to know; to them it is a dealing like others.
        accusation = Accusation(deal.raw, None)
        self.told.append((self.state.round, accusation))
        self.out.send(None, accusation)

    def accuse_again(self, to: bytes | None) -> None:
        """Repeat the accusations about dealings and acks of this round, to all or to one member that may lack them."""
        self.told = [one for one in self.told if one[0] >= self.state.round]
        self.accused = {(*one[:2], one[2] if one[2] == self.state.round else -1) for one in self.accused}
        for _, accusation in self.told:
            self.out.send(to, accusation)

    def take_weights(self, weights: bytes | None) -> None:
        """Take the model that the ledger names, or none as long as it is not here."""
        self.weights = weights

    def move_to(self, after: LedgerState) -> None:
        """Move the ledger on by one block."""
        self.just_changed = after.round == self.state.round and after.phase is self.state.phase
        self.state = after
        self.forget_releases()
        self.pool.proposals.forget_closed(after)

    def is_news_that_capped(self, examples: int) -> bool:
        """Whether the operator was not told of this number of examples beyond the cap; asked once for each."""
        was_told, self.capped_examples = self.capped_examples == examples, examples
        return not was_told

    def forget_releases(self) -> None:
        """Drop the releases of rounds that are over: no sum can be released in them any more."""
        self.released = {round_: one for round_, one in self.released.items() if round_ >= self.state.round}

    @property
    def me(self) -> bytes:
        """This member's key."""
        return self.identity.public

    @property
    def height(self) -> int:
        """The height being decided."""
        return self.state.height + 1

    @property
    def is_member(self) -> bool:
        """Whether this peer is a member by the ledger."""
        return self.state.member(self.me) is not None

    def listens_to(self, sender: bytes) -> bool:
        """Whether messages of this sender are taken: it is a member, belongs to the round, or is linked.

        The block that admits a linked peer may not have come yet.
        """
        state = self.state
        return state.committee.index(sender) is not None or sender in self.alive or state.member(sender) is not None

    @property
    def audience(self) -> tuple[bytes, ...]:
        """The receivers of a message to EVERYONE, without this member."""
        return tuple(key for key in self.state.audience if key != self.me)
