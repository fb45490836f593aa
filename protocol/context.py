"""What the parts of one node share."""

from dataclasses import dataclass, field

from ..crypto.identity import Identity
from .blocks import Evict
from .envelope import Verified
from .evidence import CONTRADICTIONS, Contradiction, contradiction
from .ledger import LedgerState
from .messages import Accusation, Ack, Deal
from .outbox import Outbox
from .patience import Patience
from .pool import ChangePool
from .safety import VoteGuard
from .sharing import Sharing
from .summing import Summing


@dataclass(slots=True)
class Context:
    """The state of one member; each part changes what is its own and reads the rest."""

    identity: Identity
    out: Outbox
    state: LedgerState
    weights: bytes | None = field(default=None, repr=False)
    """The model that ``state.weights`` names; None until it was fetched."""
    now_ms: int = 0
    alive: set[bytes] = field(default_factory=set)
    """Peers that the failure detector has a link to, members or not."""
    alive_changes: int = 0
    """Counts the changes of ``alive``, so that what follows from it is computed once a change."""
    pool: ChangePool = field(default_factory=ChangePool)
    guard: VoteGuard = field(default_factory=VoteGuard)
    sharing: Sharing | None = None
    summing: Summing | None = None
    just_changed: bool = False
    """The last block of this round changed the membership."""
    capped_examples: int = 0
    """The last number of examples, above what may count, that people were told of."""
    patience: Patience = field(default_factory=Patience)
    released: dict[int, bytes] = field(default_factory=dict)
    """Safety rule 1, durable: the contributor set whose sum was released, by round; none of a round that is over."""

    accused: set[tuple[bytes, Contradiction, int]] = field(default_factory=set)
    """Members whose contradictions were told to all already, with the round if it is this one's, and otherwise -1.

    Where nobody is evicted on proof the pool forgets them, and members would tell one another for ever. But what
    contradicts itself in this round decides who contributes to it, whatever else its author was accused of.
    """

    told: list[tuple[int, Accusation]] = field(default_factory=list, repr=False)
    """The accusations that decide who contributes to a round, with the round: repeated as long as it lasts."""

    def accuse(self, first: Verified, second: Verified) -> None:
        """Two statements of one member contradict each other: tell people, and have everybody vote on its eviction."""
        found = contradiction((first, second))
        if found is None:
            return
        offender, what = found
        is_now = isinstance(first.message, Deal | Ack) and first.message.round == self.state.round
        if offender in self.state.gone and self.state.committee.index(offender) is None:
            is_now = False  # it is no part of the round
        if not is_now and not self.state.may_be_evicted(offender):
            return  # of other rounds, by one that is evicted already: there is no end to what it could be accused of
        place = (offender, what, self.state.round if is_now else -1)
        if place in self.accused or (not is_now and any(one[:2] == place[:2] for one in self.accused)):
            return
        self.accused.add(place)
        facts = {what.replace("-", "_"): True}
        self.out.fault(offender, f"{CONTRADICTIONS[what]} (height {first.height})", **facts)
        self.pool.add_eviction(Evict(offender, what, (first.raw, second.raw)))
        # Whatever else it is accused of: all have to know, or some leave it out of the round and others do not.
        accusation = Accusation(first.raw, second.raw)
        if is_now:
            self.told.append((self.state.round, accusation))
        self.out.send(None, accusation)

    def accuse_again(self, to: bytes | None) -> None:
        """Repeat whose dealings and acks of this round contradict each other: somebody may have missed it."""
        self.told = [one for one in self.told if one[0] >= self.state.round]
        self.accused = {(*one[:2], one[2] if one[2] == self.state.round else -1) for one in self.accused}
        for _, accusation in self.told:
            self.out.send(to, accusation)

    def forget_releases(self) -> None:
        """Forget what was released in rounds that are over: nothing can be released in them again."""
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
        """Whether the ledger has admitted this peer."""
        return self.state.member(self.me) is not None

    @property
    def audience(self) -> tuple[bytes, ...]:
        """Who EVERYONE is, without this member."""
        return tuple(key for key in self.state.audience if key != self.me)
