"""Lies about the proof of an open sum: proofs that one member alone can follow, or that others lose, and false sums."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Send, Step
from ...protocol.ledger.blocks import Block, Model, block_hash, read_block
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Precommit, Prevote, Proposal
from ..engine.adversary import Adversary
from .voting import other_sum

if TYPE_CHECKING:
    from ..engine.simulation import Simulation
    from ..engine.site import Site

SHOWN_AFTER_MS: Final = 30
"""How long after its proposal a proposer is shown the z that it lacks."""

FALSE_Z: Final = (1, 1)


class FirstSum(Adversary):
    """The base of strategies about the sum that this site proposes in view 0."""

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self.blocks: dict[int, bytes] = {}
        """The block about a sum that it proposed in view 0, by height."""

    def bend_step(self, event: Event, step: Step) -> Step:
        """Note the block now: the site's own prevote for it is sent before the proposal."""
        for send in step.send:
            message = self.read(send.envelope)
            if message is None or message.sender != self.site.key or message.view > 0:
                continue
            if isinstance(message.message, Proposal) and isinstance(read_block(message.message.block).body, Model):
                self.blocks.setdefault(message.height, message.message.block)
        return step

    def is_about_it(self, message: Verified) -> bool:
        """Whether a message is a vote or proposal of this site at the height at which it proposed that sum."""
        node, said = self.site.node, message.message
        if node is None or message.sender != self.site.key or message.height not in self.blocks:
            return False
        return message.height == node.state.height + 1 and isinstance(said, Prevote | Precommit | Proposal)

    def proposer(self, view: int) -> bytes:
        """Return the key of a view's proposer."""
        assert self.site.node is not None
        return self.site.node.state.proposer(view)


class MixedProof(FirstSum):
    """Gives its z of view 0 to one member alone, and the others a false one in each later view.

    That member has the proof, from two views together, and locks. The liar wants the others to hold the false z against
    this proof.
    """

    name = "mixed-proof"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not self.is_about_it(message):
            return (send,)
        is_first, chosen = message.view == 0, self.proposer(2)
        match message.message:
            case Proposal():
                return (send,) if is_first and receiver.key in (chosen, self.proposer(1)) else ()
            case Prevote() if is_first:
                return (send,) if receiver.key == chosen else ()
            case Prevote() if receiver.key != chosen:
                false = Prevote(block_hash(self.blocks[message.height]), FALSE_Z)
                return (Send(send.to, self.sign(false, message.height, message.view)),)
            case _:
                return ()


class EraseProof(FirstSum):
    """Shows its z of view 0 to the next proposer alone, once that has proposed, and says nothing more of the sum.

    In its own turns it proposes the same block with a false z as its proof, and with another W than the block's. A
    member that took this for the proof would forget the real one.
    """

    name = "erase-proof"

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._kept: dict[int, bytes] = {}
        """Its prevote of view 0, by height, until it is shown."""

    def on_event(self, event: Event) -> bool:
        message = self.received(event)
        if message is not None and isinstance(message.message, Proposal) and message.view == 1:
            kept = self._kept.pop(message.height, None)
            if kept is not None:
                receiver = self.simulation.by_key[message.sender]
                self.simulation.clock.after(SHOWN_AFTER_MS, self.say, receiver, kept)
        return True

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not self.is_about_it(message):
            return (send,)
        data = self.blocks[message.height]
        match message.message:
            case Proposal() if message.view == 0:
                return (send,) if receiver.key != self.proposer(3) else ()
            case Proposal():
                false = self.sign(Prevote(block_hash(data), FALSE_Z), message.height, 3)
                changed = Proposal(data, -1, (), (false,), bytes(32))
                return (Send(send.to, self.sign(changed, message.height, message.view)),)
            case Prevote() if message.view == 0:
                self._kept.setdefault(message.height, send.envelope)
        return ()


class FalseFirst(Adversary):
    """Proposes a false sum in view 0, which nobody can prove, and follows the protocol in everything else."""

    name = "false-first"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        said = message.message
        if not isinstance(said, Proposal) or message.sender != self.site.key or message.view or send.blob is None:
            return (send,)
        block = read_block(said.block)
        if not isinstance(block.body, Model):
            return (send,)
        other, false = other_sum(block.body, send.blob, 1)
        changed = Proposal(Block(block.height, block.previous, other).encode(), -1, (), (), other.vector_hash)
        return (Send(send.to, self.sign(changed, message.height, 0), false),)
