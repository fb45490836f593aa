"""One real node among members whose every word is written by hand."""

from collections.abc import Hashable, Iterable
from typing import Any

import numpy as np
from chains import Chain
from members import START_MS, identity
from signing import signed

from coterie.crypto.identity.identity import Identity
from coterie.protocol.events import Event, PeerUp, Received, Send, Started, Step, TimerFired, WorkDone
from coterie.protocol.jobs import ReadBlocks, Train
from coterie.protocol.messages.envelope import Verified, verify
from coterie.protocol.messages.kinds import GetStatus, Message, Status
from coterie.protocol.node import Newcomer, Node
from coterie.protocol.records import BlockDecided, Memory, ModelSaved, Record


class Bench:
    """A member, ``number``, with the ledger of ``chain``; the others are its identities.

    What the node does is collected in ``records``, ``sent``, ``work`` and ``notices``. Work waits until
    :meth:`compute` runs it; training never answers by itself.
    """

    def __init__(
        self, chain: Chain, number: int = 0, memory: Memory | None = None, newcomer: Newcomer | None = None
    ) -> None:
        self.chain = chain
        self.me = identity(number)
        self.now_ms = START_MS
        if memory is None:
            memory = Memory(
                model=ModelSaved(chain.genesis.weights_hash, np.zeros(chain.genesis.parameters, "<f4").tobytes())
            )
        if not memory.blocks:
            memory.blocks = [
                BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)
            ]
        self.node = Node(self.me, chain.genesis, memory, newcomer)
        self.records: list[Record] = []
        self.sent: list[Send] = []
        self.fetches: list[Any] = []
        self.work: list[Any] = []
        self.timers: list[Any] = []
        self.notices: list[Any] = []

    @property
    def others(self) -> list[Identity]:
        """The other members of the committee."""
        return [one for one in self.chain.committee if one.public != self.me.public]

    # In.

    def hand(self, event: Event) -> Step:
        """Hand in an event."""
        step = self.node.step(event, self.now_ms)
        self.records += step.persist
        self.sent += step.send
        self.fetches += step.fetch
        self.timers += step.timers
        self.work += step.work
        self.notices += step.notify
        return step

    def hear(
        self, who: Identity, message: Message, blob: bytes | None = None, view: int = 0, height: int | None = None
    ) -> Step:
        """``who`` says this, by default at the height that is being decided."""
        height = self.node.state.height + 1 if height is None else height
        return self.hand(Received(signed(who, message, height, view, self.node.state.federation), blob))

    def begin(self, connected: Iterable[Identity] | None = None, head: int = 0) -> None:
        """Start; everybody is connected and has seen nothing of this member that it does not know itself."""
        self.hand(Started())
        everyone = self.others if connected is None else list(connected)
        for one in everyone:
            self.hand(PeerUp(one.public))
        asked = self.said(GetStatus)
        for one in everyone if asked else ():
            self.hear(one, Status(asked[0].message.nonce, head or self.node.state.height, None, None, None))

    def fire(self, timer: Hashable) -> Step:
        """A timer fires."""
        return self.hand(TimerFired(timer))

    def compute(self) -> None:
        """Run the work that waits, and what it leads to, but for training and reading."""
        while ready := [one for one in self.work if not isinstance(one, Train | ReadBlocks)]:
            self.work.remove(ready[0])
            try:
                done = WorkDone(ready[0], ready[0].run())
            except Exception as error:  # as a driver does
                done = WorkDone(ready[0], error=str(error))
            self.hand(done)

    # Out.

    def said(self, kind: type[Message], to: bytes | None = None) -> list[Verified]:
        """The messages of a kind so far, to anybody or to one member only."""
        return [one for send in self.sent if to in (None, send.to) for one in self.said_in(send, kind)]

    def said_in(self, send: Send, kind: type[Message]) -> list[Verified]:
        """The message that was sent, if it is of this kind."""
        one = verify(send.envelope, self.node.state.federation)
        return [one] if isinstance(one, Verified) and isinstance(one.message, kind) else []

    def faults(self, who: Identity | None = None) -> list[str]:
        """What was said against anybody, or against this member."""
        wanted = [one for one in self.notices if one.kind == "fault"]
        return [one.text for one in wanted if who is None or one.facts.get("member") == who.public]

    def proposer(self, view: int) -> Identity:
        """Whose turn it is."""
        key = self.node.state.proposer(view)
        return next(one for one in (self.me, *self.others) if one.public == key)
