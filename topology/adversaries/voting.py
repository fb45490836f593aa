"""Lies about proposals and votes, which agreement must tolerate."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ...crypto.field import P
from ...protocol.events import Event, Send, Step
from ...protocol.jobs import beacon_of
from ...protocol.ledger.blocks import Block, Contributors, Membership, Model, Void, block_hash, read_block
from ...protocol.limits import VIEW_WINDOW
from ...protocol.messages.encoding import digest_of
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import Precommit, Prevote, Proposal
from ..engine.adversary import Adversary, Flood
from ..engine.site import Turn
from . import forging

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..engine.simulation import Simulation
    from ..engine.site import Site

BURST_MS: Final = 4_000
FLOOD_VOTES: Final = 12


def other_block(data: bytes) -> bytes | None:
    """Return another block for the same height, as valid as possible; None if there is none."""
    block = read_block(data)
    match block.body:
        case Contributors(round=round_, scheme=scheme, base_hash=base, dealers=dealers, holders=holders):
            # A proposer cannot choose the dealers, so a holder is left out.
            if len(holders) < 2:
                return None
            other: Contributors | Membership | Model | Void = Contributors(round_, scheme, base, dealers, holders[:-1])
        case Void(round=round_, reason=reason, names=names):
            other = Void(round_, reason, names[1:] if names else ())
        case Model(round=round_, vector_hash=vector, sums=sums, weights_hash=weights):
            other = Model(round_, vector, sums, weights, bytes(31) + b"\1")
        case _:
            return None
    changed = Block(block.height, block.previous, other).encode()
    return changed if changed != data else None


class Equivocate(Adversary):
    """Proposes one block to half of the members and another one to the rest.

    It votes against the block on which they agree nevertheless, and in its next turn it proposes another one to all: a
    member that has forgotten its lock votes for that.
    """

    name = "equivocate"
    turn = Turn.BLOCK

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._instead: dict[tuple[int, int], bytes] = {}
        """The block that it proposes to all, by height and view."""

    def on_event(self, event: Event) -> bool:
        """Keep precommits for blocks that it is against from the node, which would decide and show others the block."""
        message = self.received(event)
        if message is None or not isinstance(message.message, Precommit) or message.message.block_hash is None:
            return True
        return message.message.block_hash in {block_hash(data) for data in self._instead.values()}

    def bend_step(self, event: Event, step: Step) -> Step:
        """Choose the other block now: the site's own prevote for the view is sent before the proposal."""
        for send in step.send:
            message = self.read(send.envelope)
            if message is not None and isinstance(message.message, Proposal) and message.view > 0:
                data = other_block(message.message.block)
                if data is not None and message.sender == self.site.key:
                    self._instead[(message.height, message.view)] = data
        return step

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if message.sender != self.site.key:
            return (send,)
        given, data = message.message, self._instead.get((message.height, message.view))
        changed: Proposal | Prevote | Precommit
        match given:
            case Proposal() if data is not None:
                changed = Proposal(data, -1, given.acks, (), given.vector_hash)
            case Proposal() if receiver.number in self.half and (data := other_block(given.block)) is not None:
                changed = Proposal(data, -1, given.acks, (), given.vector_hash)
            case Prevote(z=z) if data is not None:
                changed = Prevote(block_hash(data), z)
            case Precommit():
                changed = Precommit(block_hash(data) if data is not None else None)
            case _:
                return (send,)
        return (Send(send.to, self.sign(changed, message.height, message.view), send.blob),)


class DoubleVote(Adversary):
    """Votes for the block towards half of the members and for nil towards the rest."""

    name = "double-vote"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if message.sender == self.site.key and receiver.number in self.half:
            match message.message:
                case Prevote(block_hash=block):
                    changed: Prevote | Precommit = Prevote(None if block else bytes(32), None)
                case Precommit(block_hash=block):
                    changed = Precommit(None if block else bytes(32))
                case _:
                    return (send,)
            return (Send(send.to, self.sign(changed, message.height, message.view)),)
        return (send,)


class Amnesia(Adversary):
    """Forgets its lock and its votes whenever an event comes in."""

    name = "amnesia"

    def on_event(self, event: Event) -> bool:
        node = self.site.node
        if node is not None:
            node.ctx.guard.__init__()  # type: ignore[misc]
            if node.heights.agreement is not None:
                node.heights.agreement.consensus.locked = None
                node.heights.agreement.consensus.valid = None
        return True


class Burst(Adversary):
    """Sends nothing for a while, and then everything at once."""

    name = "burst"
    turn = Turn.TIME

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._held: list[tuple[Site, Send]] = []

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not self._held:
            self.simulation.clock.after(BURST_MS, self._release)
        self._held.append((receiver, send))
        return ()

    def _release(self) -> None:
        held, self._held = self._held, []
        for receiver, send in held:
            self.simulation.transmit(self.site, receiver, send)


class StaleLock(Adversary):
    """Proposes again the block of an earlier view of the height, with the prevotes that it has, a polka or not."""

    name = "stale-lock"
    turn = Turn.PROOF

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._seen: dict[int, tuple[int, Proposal]] = {}
        self._votes: dict[tuple[int, int], dict[bytes, bytes]] = {}

    def on_event(self, event: Event) -> bool:
        message = self.received(event)
        if message is not None:
            if isinstance(message.message, Proposal):
                self._seen.setdefault(message.height, (message.view, message.message))
            elif isinstance(message.message, Prevote):
                self._votes.setdefault((message.height, message.view), {})[message.sender] = message.raw
        return True

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if isinstance(message.message, Proposal) and message.height in self._seen:
            view, old = self._seen[message.height]
            if view < message.view:
                polka = tuple(self._votes.get((message.height, view), {}).values())
                changed = Proposal(old.block, view, old.acks, polka, old.vector_hash)
                return (Send(send.to, self.sign(changed, message.height, message.view), send.blob),)
        return (send,)


def other_sum(body: Model, vector: bytes, number: int) -> tuple[Model, bytes]:
    """Return a Model of a false sum, which by itself looks like a real one, and that sum.

    ``number``: another one gives another sum.
    """
    last = (int.from_bytes(vector[-8:], "little") + number) % P  # a random element
    other = vector[:-8] + last.to_bytes(8, "little")
    digest = digest_of(other)
    return Model(body.round, digest, body.sums, body.weights_hash, beacon_of(other)), other


class InvalidValue(Adversary):
    """Proposes blocks that do not follow from the ledger, in another way each time.

    One way is a false sum that could be a real one, together with another one for each of its coming views.
    """

    name = "invalid-value"

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        if not isinstance(message.message, Proposal):
            return (send,)
        given = message.message
        block = read_block(given.block)
        if isinstance(block.body, Model) and send.blob is not None and (block.height + message.view) % 2:
            return self._false_sums(message, block, block.body, send)
        data = self._spoilt(block, message.view)
        changed = Proposal(data, given.valid_view, given.acks, given.polka, given.vector_hash)
        return (Send(send.to, self.sign(changed, message.height, message.view), send.blob),)

    def _false_sums(self, message: Verified, block: Block, body: Model, send: Send) -> Iterable[Send]:
        """Propose a false sum in this view and, at once, in each later view in which it is this site's turn."""
        assert self.site.node is not None
        assert send.blob is not None
        proposer = self.site.node.state.proposer
        for view in range(message.view, message.view + VIEW_WINDOW + 1):
            if proposer(view) == self.site.key:
                other, false = other_sum(body, send.blob, 1 + view)
                data = Block(block.height, block.previous, other).encode()
                yield Send(
                    send.to, self.sign(Proposal(data, -1, (), (), other.vector_hash), message.height, view), false
                )

    @staticmethod
    def _spoilt(block: Block, view: int) -> bytes:
        body = block.body
        match (block.height + view) % 4:
            case 0:
                return Block(block.height, bytes(32), body).encode()
            case 1 if isinstance(body, Contributors):
                few = Contributors(body.round, body.scheme, body.base_hash, body.dealers[:2], body.holders)
                return Block(block.height, block.previous, few).encode()
            case 2 if isinstance(body, Model):
                wrong = Model(body.round, body.vector_hash, body.sums[::-1], body.weights_hash, body.beacon)
                return Block(block.height, block.previous, wrong).encode()
            case 3:
                return Block(block.height, block.previous, Void(9999, "shares", ())).encode()
        return Block(block.height + 1, block.previous, body).encode()


class FalseVoid(Adversary):
    """Proposes a void for a good sum, as if that were no sum of encodings, or for a made-up sum that really is none."""

    name = "false-void"
    turn = Turn.BLOCK

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._vectors: dict[tuple[int, int], bytes | None] = {}

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        given = message.message
        if not isinstance(given, Proposal) or message.sender != self.site.key or send.blob is None:
            return (send,)
        place = message.height, message.view
        if place not in self._vectors:
            self._vectors[place] = forging.no_encoding(send.blob) if self.random.random() < 0.5 else None
        vector = self._vectors[place]
        made = forging.void_of(given.block, vector)
        if made is None:
            return (send,)
        changed = Proposal(made[0], -1, (), (), made[1])
        return (Send(send.to, self.sign(changed, message.height, message.view), vector or send.blob),)


class ViewFlood(Flood):
    """Votes in far views to come, of this height and of the next one."""

    name = "view-flood"
    every_ms = 700

    def burst(self, node: "Node") -> None:
        for _ in range(FLOOD_VOTES):
            view = node.view + self.random.randrange(1, 2 ** self.random.randrange(1, 31))
            vote = self.random.choice((Prevote(None, None), Precommit(None), Precommit(block_hash(b"flood"))))
            raw = self.sign(vote, node.state.height + self.random.choice((1, 2)), view)
            for other in self.others:
                self.say(other, raw)
