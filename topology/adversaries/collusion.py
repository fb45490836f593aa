"""Liars that agree on a victim: a member whose update they want to leave out, or to learn.

All colluders of a run have one plan, which its seed fixes. Each of them acts like an honest member with a bad network:
it does not get dealings, it is late, it comes and goes.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ...protocol.events import Event, Send, Step
from ...protocol.jobs import Encode
from ...protocol.ledger.phases import Phase
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Ack, Deal, Prevote, Proposal, SumShare
from ..engine.adversary import Adversary
from ..engine.site import Turn
from . import forging

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

AWAY_MS: Final = 1_500
MEMBER_EVERY_MS: Final = 300


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan on which colluders agree."""

    liars: tuple["Site", ...]
    order: tuple["Site", ...]
    """The honest sites, the victim first."""

    @property
    def victim(self) -> "Site":
        """The site whose update is not to count."""
        return self.order[0]

    def bystander(self, liar: "Site") -> "Site":
        """Return an honest site beside the victim; a different one for each liar, if there are enough."""
        rest = self.order[1:] or self.order
        return rest[self.liars.index(liar) % len(rest)]

    def pair(self, round_: int) -> tuple["Site", "Site"]:
        """Return two of three honest sites, others in each round: three such sums would give each one's update away."""
        first = self.order[round_ % min(3, len(self.order))]
        second = self.order[(round_ + 1) % min(3, len(self.order))]
        return first, second


def plan_of(simulation: "Simulation") -> Plan:
    """Return the plan of a simulation's liars."""
    honest = [site for site in simulation.sites if site.is_honest and site.number not in simulation.setup.late]
    random.Random(f"plan {simulation.seed}").shuffle(honest)
    return Plan(tuple(site for site in simulation.sites if not site.is_honest), tuple(honest))


class Colluder(Adversary):
    """The base of all strategies that follow the liars' plan."""

    _plan: Plan | None = None

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self.hides = self.random.random() < 0.5
        """Whether it hands nobody the boxes of the holders that it does not deal to."""

    @property
    def plan(self) -> Plan:
        """The liars' plan, which is made on first use, when all liars are known."""
        if self._plan is None:
            self._plan = plan_of(self.simulation)
        return self._plan

    @property
    def has_failed(self) -> bool:
        """Whether a sum on this base model has failed, as far as this site knows."""
        node = self.site.node
        return node is not None and bool(forging.failed_contributors(node.state))

    @property
    def shunned(self) -> tuple["Site", ...]:
        """Sites whose dealings are refused now, and which are left out of proposals."""
        return ()

    @property
    def undealt(self) -> tuple["Site", ...]:
        """Honest sites that get no dealing now."""
        return ()

    def on_event(self, event: Event) -> bool:
        """Do not take the dealings of shunned sites."""
        message, node = self.received(event), self.site.node
        if message is None or node is None:
            return True
        dealer = forging.offered_by(message, node.state.committee)
        return dealer is None or dealer not in {site.key for site in self.shunned}

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Deal to few, and propose without the shunned sites."""
        said = message.message
        if message.sender != self.site.key:
            return (send,)
        if isinstance(said, Deal) and receiver in self.undealt:
            return ()
        if self.hides and forging.hands_out(said) and not isinstance(said, Deal) and self.undealt:
            return ()
        if isinstance(said, Proposal) and said.valid_view < 0 and self.site.node is not None and self.shunned:
            out = [site.key for site in self.shunned]
            data = forging.contributors_without(said.block, out, self.site.node.state.committee)
            if data is not None:
                changed = Proposal(data, -1, said.acks, (), said.vector_hash)
                return (Send(send.to, self.sign(changed, message.height, message.view), send.blob),)
        return (send,)

    def _spoil(self, work: Any, result: Any) -> Any:
        """Replace an encoded contribution by one that is no encoding."""
        if not isinstance(work, Encode):
            return result
        return forging.non_encoding(work, result, "element", self.random)


class Shun(Colluder):
    """Takes no dealing of the victim and deals nothing to another honest member, in every round."""

    name = "shun"

    @property
    def shunned(self) -> tuple["Site", ...]:
        return (self.plan.victim,)

    @property
    def undealt(self) -> tuple["Site", ...]:
        return (self.plan.bystander(self.site),)


class ShunInTurn(Shun):
    """Leaves out all honest members but two of the first three, and in each round another two."""

    name = "shun-in-turn"

    @property
    def shunned(self) -> tuple["Site", ...]:
        round_ = self.site.node.state.round if self.site.node is not None else 0
        return tuple(site for site in self.plan.order if site not in self.plan.pair(round_))


class Refuse(Colluder):
    """Acks the dealings of colluders only, and deals to all but one honest member."""

    name = "refuse"

    @property
    def undealt(self) -> tuple["Site", ...]:
        return (self.plan.bystander(self.site),)

    @property
    def shunned(self) -> tuple["Site", ...]:
        return self.plan.order


class FailAndShun(Shun):
    """Makes a sum fail by numbers that are no encoding, and tries to have it repeated without the victim."""

    name = "fail-and-shun"

    @property
    def shunned(self) -> tuple["Site", ...]:
        return super().shunned if self.has_failed else ()

    @property
    def undealt(self) -> tuple["Site", ...]:
        return super().undealt if self.has_failed else ()

    def bend_result(self, work: Any, result: Any) -> Any:
        return result if self.has_failed else self._spoil(work, result)


class FailAndWait(Colluder):
    """Makes sums fail until the membership has changed, and deals no more then, so that others would have to."""

    name = "fail-and-wait"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._members: tuple[bytes, ...] = ()

    @property
    def _are_others(self) -> bool:
        node = self.site.node
        if node is None or not self.has_failed:
            return False
        return node.state.committee.members != self._members

    @property
    def undealt(self) -> tuple["Site", ...]:
        return self.plan.order if self._are_others else ()

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        """Deal to nobody at all, newcomers included."""
        if forging.hands_out(message.message) and self._are_others:
            return ()
        return super().bend_send(receiver, message, send)

    def bend_result(self, work: Any, result: Any) -> Any:
        node = self.site.node
        if isinstance(work, Encode) and node is not None and not self.has_failed:
            self._members = node.state.committee.members
        return result if self._are_others else self._spoil(work, result)


class FailAndVanish(Colluder):
    """Makes a sum fail, and is silent until it has been repeated."""

    name = "fail-and-vanish"
    turn = Turn.RECEIVER

    def bend_result(self, work: Any, result: Any) -> Any:
        return result if self.has_failed else self._spoil(work, result)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        return () if self.has_failed else super().bend_send(receiver, message, send)


class FailAndLeave(Colluder):
    """Makes a sum fail, leaves the federation, and comes back."""

    name = "fail-and-leave"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._asked_to_leave = False

    def bend_result(self, work: Any, result: Any) -> Any:
        return result if self.has_failed else self._spoil(work, result)

    def bend_step(self, event: Event, step: Step) -> Step:
        if not self._asked_to_leave and self.has_failed:
            self._asked_to_leave = True
            self.leave_and_return(MEMBER_EVERY_MS, AWAY_MS)
        return step


class FailAndCrash(Colluder):
    """Makes a sum fail, and crashes at a moment of its repetition that the seed chooses."""

    name = "fail-and-crash"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._is_planned = False

    def bend_result(self, work: Any, result: Any) -> Any:
        return result if self.has_failed else self._spoil(work, result)

    def bend_step(self, event: Event, step: Step) -> Step:
        if not self._is_planned and self.has_failed:
            self._is_planned = True
            self.simulation.clock.after(self.random.randrange(1, 4_000), self.simulation.crash, self.site, 6_000)
        return step


class OpenAndFail(Colluder):
    """Sends its sum share to other liars only, so that they see the sum, and never proves or proposes it."""

    name = "open-and-fail"

    @property
    def undealt(self) -> tuple["Site", ...]:
        """Leave an honest site without a dealing, so that the colluders' own sum shares are needed."""
        return (self.plan.bystander(self.site),)

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        node, said = self.site.node, message.message
        if node is not None and node.state.phase is Phase.SUMMING and message.sender == self.site.key:
            if isinstance(said, Proposal) or (isinstance(said, SumShare) and receiver.is_honest):
                return ()
            if isinstance(said, Prevote) and said.z is not None:
                return (Send(send.to, self.sign(Prevote(None, None), message.height, message.view)),)
        return super().bend_send(receiver, message, send)


class LateAck(Colluder):
    """Deals and acks just before the share deadline to some, and just after it to the rest."""

    name = "late-ack"
    turn = Turn.TIME

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._began_ms: dict[int, int] = {}

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if not isinstance(said, Deal | Ack) or message.sender != self.site.key:
            return (send,)
        now = self.simulation.clock.now_ms
        deadline = self._began_ms.setdefault(said.round, now) + self.simulation.setup.genesis.share_deadline_ms
        aimed = deadline + (200 if receiver.number in self.half else -700)
        if now < aimed:
            self.simulation.clock.at(aimed, self._deliver, receiver, send)
            return ()
        return (send,)

    def _deliver(self, receiver: "Site", send: Send) -> None:
        if self.site.node is not None:
            self.simulation.transmit(self.site, receiver, send)
