"""When and why a run ends: the first reason counts."""

from dataclasses import dataclass, field
from typing import Final

import trio

from ..protocol.events import Notice
from ..protocol.ledger import LedgerState
from .exits import Exit

_ASK: Final = "ask a member for"
"""Begins the advice with which a member's own reason may end already."""


@dataclass(slots=True)
class Ending:
    """Waits for the end, and watches the node's notices for what means it."""

    me: bytes
    over: trio.Event = field(default_factory=trio.Event)
    left: trio.Event = field(default_factory=trio.Event)
    """It is decided that this peer may go, as it asked to. Its part in the current round is not over yet."""
    withdrawn: trio.Event = field(default_factory=trio.Event)
    """This peer took back its request to be admitted, and those that it is linked to are being told."""
    told: int = 0
    """How many these are."""
    finished: trio.Event = field(default_factory=trio.Event)
    code: Exit = Exit.OK
    reason: str = ""
    asked_to_leave: bool = False
    rejoins: bool = False
    """The user asked, with this very start, to join: one that was removed for its silence asks to be let in again."""
    has_invite: bool = False
    join_again: str = "peer start"
    """The command with which this home asks again to be let in, without its invite."""
    _refusing: set[bytes] = field(default_factory=set)

    def end(self, code: Exit, reason: str) -> None:
        """End the run, unless it has ended."""
        if not self.over.is_set():
            self.code, self.reason = code, reason
            self.over.set()

    def lacks_invite(self, state: LedgerState) -> bool:
        """Whether this peer asks to be let in without the invite that it needs."""
        return state.genesis.admit == "invite" and not self.has_invite and state.member(self.me) is None

    def on_notice(self, notice: Notice, state: LedgerState) -> None:
        """See whether a notice of the node's means the end."""
        match notice.kind:
            case "left" if notice.facts.get("member") == self.me:
                if self.asked_to_leave:
                    self.left.set()
                elif not self.rejoins or notice.facts["reason"] not in (None, "silent"):
                    self.end(Exit.REMOVED, f"{notice.text}; this peer is no member any more")
            case "joined" if notice.facts.get("member") == self.me:
                self.rejoins = False
            case "withdrawn":
                self.told = notice.facts["peers"]
                self.withdrawn.set()
            case "finished":
                self.finished.set()
            case "another-ledger":
                self.end(Exit.INVITE, f"{notice.text}; ask whoever invited you, and for the addresses of other members")
            case "refused":
                self._on_refusal(notice, state)
            case _:
                pass

    def _on_refusal(self, notice: Notice, state: LedgerState) -> None:
        """One liar cannot turn a newcomer away: more members than may lie have to."""
        member, reason = notice.facts["member"], str(notice.facts["reason"])
        if state.member(member) is None and state.height > 0:
            return
        self._refusing.add(member)
        if len(self._refusing) > state.committee.f and "later" not in reason:
            model = reason.startswith("the models differ")
            told = f"admission was refused: {reason}"
            if state.genesis.admit == "invite" and not model:
                if self.lacks_invite(state):
                    told = "admission was refused: this federation needs an invite, and this peer was given none"
                told += "; " if _ASK in told else f"; {_ASK} one (`peer invite`), "
                told += f"then type: {self.join_again} --invite TOKEN"
            self.end(Exit.MODEL if model else Exit.INVITE, told)
