"""When and why a run ends: the first reason counts."""

from dataclasses import dataclass, field
from typing import Final

import trio

from ...protocol.events import Notice, NoticeKind
from ...protocol.ledger.state import LedgerState
from ..errors import Exit, PeerError

_ASK: Final = "ask a member for"
"""The beginning of the advice; the reason that a member gave may end with such an advice already."""


@dataclass(slots=True)
class RunEnd:
    """Holds how the run ends, and watches the node's notices for those that mean the end."""

    me: bytes
    over: trio.Event = field(default_factory=trio.Event)
    left: trio.Event = field(default_factory=trio.Event)
    """The leave that this peer asked for is decided. Its part in the current round may not be over yet."""
    withdrawn: trio.Event = field(default_factory=trio.Event)
    """This peer took back its request to be admitted, and the peers that it is linked to are being told."""
    told: int = 0
    """The number of peers that are told so."""
    finished: trio.Event = field(default_factory=trio.Event)
    code: Exit = Exit.OK
    reason: str = ""
    failure: BaseException | None = None
    """The exception that ended the run, if one did; the run raises it once the others got their goodbye."""
    asked_to_leave: bool = False
    rejoins: bool = False
    """The user asked to join with this very start. A peer that left, or was removed for its silence, then asks to be
    admitted again.
    """
    has_invite: bool = False
    join_again: str = "peer start"
    """The command with which this home asks again to be admitted; an invite is to be added to it."""
    _refusing: set[bytes] = field(default_factory=set)

    def end(self, code: Exit, reason: str) -> None:
        """End the run, unless it has ended."""
        if not self.over.is_set():
            self.code, self.reason = code, reason
            self.over.set()

    def fail(self, error: BaseException) -> None:
        """End the run by an exception: a problem that only the user can solve, or a bug of ours."""
        self.failure = error
        code = error.code if isinstance(error, PeerError) else Exit.CRASH
        self.end(code, str(error) if code is not Exit.CRASH else "a bug of ours")

    def lacks_invite(self, state: LedgerState) -> bool:
        """Return whether this peer asks to be admitted without the invite that it needs."""
        return state.genesis.admit == "invite" and not self.has_invite and state.member(self.me) is None

    def on_notice(self, notice: Notice, state: LedgerState) -> None:
        """End the run if a notice of the node means that, or take note of how it changes the end."""
        match notice.kind:
            case NoticeKind.LEFT if notice.facts.get("member") == self.me:
                if self.asked_to_leave:
                    self.left.set()
                elif not self.rejoins or notice.facts["reason"] not in (None, "silent"):
                    self.end(Exit.REMOVED, f"{notice.text}; this peer is no member any more")
            case NoticeKind.JOINED if notice.facts.get("member") == self.me:
                self.rejoins = False
            case NoticeKind.WITHDRAWN:
                self.told = notice.facts["peers"]
                self.withdrawn.set()
            case NoticeKind.FINISHED:
                self.finished.set()
            case NoticeKind.ANOTHER_LEDGER:
                self.end(
                    Exit.INVITE,
                    f"{notice.text}; ask the person who invited you, also for the addresses of other members",
                )
            case NoticeKind.REFUSED:
                self._on_refusal(notice, state)
            case _:
                pass

    def _on_refusal(self, notice: Notice, state: LedgerState) -> None:
        """Count a refusal; more than f members end the run by theirs, so no liar alone can turn a newcomer away."""
        member, reason = notice.facts["member"], str(notice.facts["reason"])
        # Once the ledger is known here, only refusals by members count.
        if state.member(member) is None and state.height > 0:
            return
        self._refusing.add(member)
        # A reason with "later" in it is a lack of room for the moment: this peer goes on asking.
        if len(self._refusing) > state.committee.f and "later" not in reason:
            model = reason.startswith("the models differ")
            told = f"admission was refused: {reason}"
            if state.genesis.admit == "invite" and not model:
                if self.lacks_invite(state):
                    told = "admission was refused: this federation needs an invite, and this peer was given none"
                told += "; " if _ASK in told else f"; {_ASK} one (`peer invite`), "
                told += f"then type: {self.join_again} --invite TOKEN"
            self.end(Exit.MODEL if model else Exit.INVITE, told)


def first_cause(error: BaseException) -> BaseException:
    """Return the exception inside of the groups that nurseries make; a PeerError if there is one."""
    while isinstance(error, BaseExceptionGroup):
        error = next((one for one in error.exceptions if isinstance(one, PeerError)), error.exceptions[0])
    return error
