"""Liars that are silent, run twice, replay messages, or lie about the ledger and its height."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ...protocol.events import Event, Received, Send, Started, Step, TimerFired, WorkDone
from ...protocol.ledger.blocks import Block, Void, block_hash
from ...protocol.messages.envelope import Verified
from ...protocol.messages.kinds import (
    Blocks,
    CertifiedBlock,
    GetBlocks,
    GetStatus,
    GetWeights,
    JoinRequest,
    Precommit,
    Status,
    Weights,
)
from ...protocol.node import Newcomer
from ...protocol.records import BlockDecided
from ..engine.adversary import Adversary
from ..engine.disk import Disk
from ..engine.founded_ledger import MODEL
from ..engine.site import Turn

if TYPE_CHECKING:
    from ...protocol.node import Node
    from ..engine.simulation import Simulation
    from ..engine.site import Site

FORGE_EVERY_MS: Final = 900
REPLAY_EVERY_MS: Final = 300
REPLAY_KEPT: Final = 400
FALSE_HEAD: Final = 1000
PADDING: Final = 20


class Silent(Adversary):
    """Receives everything and sends nothing."""

    name = "silent"
    turn = Turn.RECEIVER

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        return ()


class Selective(Adversary):
    """Deals to half of the members and votes towards them; the rest only learn that it is there.

    It asks all members what they saw of it: it may vote only once the others have answered, so otherwise it would be
    silent towards everybody.
    """

    name = "selective"
    turn = Turn.RECEIVER

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        is_there = isinstance(
            message.message, GetStatus | Status | GetBlocks | Blocks | GetWeights | Weights | JoinRequest
        )
        return (send,) if is_there or receiver.number in self.half else ()


class Twins(Adversary):
    """Runs twice under one key: one copy talks to half of the members, the other one to the rest."""

    name = "twins"
    turn = Turn.RECEIVER

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._disk = Disk(blocks=list(site.disk.blocks), model=site.disk.model)
        self._twin: Node | None = None

    def on_started(self) -> None:
        newcomer = Newcomer(str(self.site.label), MODEL)
        setup = self.simulation.setup
        self._twin = setup.node(self.site.identity, setup.genesis, self._disk.load(), newcomer)

    def on_event(self, event: Event) -> bool:
        if not isinstance(event, TimerFired | WorkDone):  # those belong to the copy that asked for them
            self._step(event)
        return True

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        return (send,) if receiver.number in self.half else ()

    def _answer(self, site: "Site", boot: int, event: Event) -> None:
        if site.node is not None and site.boots == boot:
            self._step(event)

    def _step(self, event: Event) -> None:
        twin, simulation, site = self._twin, self.simulation, self.site
        assert twin is not None
        step: Step = twin.step(event, simulation.clock.now_ms + site.skew_ms)
        self._disk.write(step.persist)
        self._disk.sync()
        for adversary in site.adversaries:
            if adversary is not self:
                step = adversary.bend_step(event, step)
        for send in step.send:
            for other in self.others:
                if other.number not in self.half and send.to in (None, other.key):
                    simulation.transmit_bent(site, other, Send(other.key, send.envelope, send.blob), without=self)
        for timer in step.timers:
            simulation.clock.after(timer.after_ms, self._answer, site, site.boots, TimerFired(timer.key))
        for work in step.work:
            simulation.start_work(site, work, self._answer)
        for fetch in step.fetch:
            simulation.fetch(site, fetch, self._answer)


class ForgedCertificate(Adversary):
    """Shows a block that was never decided, certified by its own vote as many times as a quorum has members."""

    name = "forged-certificate"

    def on_started(self) -> None:
        self.simulation.clock.after(FORGE_EVERY_MS, self._forge, self.site.boots)

    def _forge(self, boot: int) -> None:
        node = self.site.node
        if node is None or self.site.boots != boot:
            return
        state = node.state
        data = Block(state.height + 1, state.head, Void(state.round, "shares", ())).encode()
        vote = self.sign(Precommit(block_hash(data)))
        forged = Blocks((CertifiedBlock(data, (vote,) * state.committee.quorum),))
        for other in self.others:
            self.say(other, self.sign(forged))
        self.simulation.clock.after(FORGE_EVERY_MS, self._forge, boot)


class PaddedLedger(Adversary):
    """Shows all members each block that it decides, with a vote of the certificate repeated many times."""

    name = "padded-ledger"

    def bend_step(self, event: Event, step: Step) -> Step:
        for record in step.persist:
            if isinstance(record, BlockDecided) and record.certificate:
                padded = (*record.certificate, *record.certificate[:1] * PADDING)
                self.simulation.clock.after(1, self._show, Blocks((CertifiedBlock(record.block, padded),)))
        return step

    def _show(self, blocks: Blocks) -> None:
        for other in self.others if self.site.node is not None else ():
            self.say(other, self.sign(blocks))


class FalseHead(Adversary):
    """Claims a ledger far longer than all others, also towards members that resume, and serves no blocks."""

    name = "false-head"

    def claimed_height(self, height: int) -> int:
        return height + FALSE_HEAD

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        match message.message:
            case Blocks() | GetBlocks():
                return ()
            case Status(nonce=nonce, head=head, seen=seen, deal=deal, ack=ack):
                changed = Status(nonce, head + FALSE_HEAD, seen, deal, ack)
                return (Send(send.to, self.sign(changed, message.height, message.view)),)
        return (send,)


class Replay(Adversary):
    """Sends again, at random, what it sent before, and requests to join that it heard."""

    name = "replay"
    turn = Turn.SAID

    def __init__(self, simulation: "Simulation", site: "Site") -> None:
        super().__init__(simulation, site)
        self._heard: list[tuple[bytes, bytes | None]] = []

    def on_event(self, event: Event) -> bool:
        if isinstance(event, Started):
            self.simulation.clock.after(REPLAY_EVERY_MS, self._replay, self.site.boots)
        if isinstance(event, Received) and isinstance(event.message.message, JoinRequest):
            self._keep(event.message.raw, None)
        return True

    def bend_send(self, receiver: "Site", message: Verified, send: Send) -> Iterable[Send]:
        self._keep(send.envelope, send.blob)
        return (send,)

    def _keep(self, raw: bytes, blob: bytes | None) -> None:
        if len(self._heard) < REPLAY_KEPT:
            self._heard.append((raw, blob))
        else:
            self._heard[self.random.randrange(REPLAY_KEPT)] = (raw, blob)

    def _replay(self, boot: int) -> None:
        if self.site.node is None or self.site.boots != boot:
            return
        for raw, blob in self.random.sample(self._heard, min(6, len(self._heard))):
            self.say(self.random.choice(self.others), raw, blob)
        self.simulation.clock.after(REPLAY_EVERY_MS, self._replay, boot)
