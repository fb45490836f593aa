"""The node's notices, told to the user: the names, advice and figures that the node itself does not know."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import trio

from ...protocol.events import Notice, NoticeKind
from ...protocol.ledger.phases import Phase
from ...protocol.node import Node
from ..federation.consent import Consent, NoConsent
from ..home.folder import Home
from ..learning.metrics import measures, measures_text, of_which_model
from ..learning.row_owners import LastSum
from ..member_names import told_name, told_text
from ..network.network import Network
from ..reporting.leaving import names_told
from ..reporting.quorum_watch import Held, named
from .round_troubles import RoundTroubles
from .run_end import RunEnd
from .stranger_log import StrangerLog

STUCK_SECONDS: Final = 5.0
"""How long a sum waits for members before users are told. It waits for moments while members start or thaw."""
_BY_STRANGERS: Final = frozenset({NoticeKind.BAD_FRAME, NoticeKind.REFUSED})
"""Kinds of notices that a stranger can cause as often as it likes."""

Facts = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class NoticeTeller:
    """Tells each notice of the node, after those parts took note of it that keep what the status shows."""

    node: Node
    network: Network
    home: Home
    consent: Consent
    ending: RunEnd
    rounds: RoundTroubles
    last_sum: LastSum
    strangers: StrangerLog
    gone: dict[bytes, str]
    """The names of those that were members; each that leaves is added here."""
    clip_advice: Callable[[], str]
    """Says what to do about an update that was clipped."""
    tell: Callable[[str, str, Facts], None]
    """Tells an event: gets its kind, its text and its facts."""
    _stuck: Held = field(default_factory=lambda: Held(STUCK_SECONDS))

    def on_notice(self, notice: Notice) -> None:
        """Tell a notice; hold it back for a while if it says that a sum waits for members."""
        if notice.kind == NoticeKind.STUCK:
            self._stuck.hold(notice, trio.current_time())
        else:
            self._tell(notice)

    def tell_held(self) -> None:
        """Tell that a sum waits for members, once it has waited for STUCK_SECONDS."""
        held = self._stuck.look(self.node.is_stuck, trio.current_time())
        if held is not None:
            self._tell(held)

    def _tell(self, notice: Notice) -> None:
        facts = dict(notice.facts)
        member = facts.get("member")
        if notice.kind in _BY_STRANGERS and isinstance(member, bytes) and self.network.is_stranger(member):
            self.strangers.refused(notice.text)
            return
        if isinstance(member, bytes) and "name" not in facts:
            facts["who"] = told_name(self.node.state, member)
        self._take_note(notice)
        text = self._text(notice, facts)
        self.tell(notice.kind, text, facts)
        self.ending.on_notice(replace(notice, text=text), self.node.state)
        if notice.kind == NoticeKind.COMMITTEE:
            self._check_consent()

    def _take_note(self, notice: Notice) -> None:
        """Keep what later texts and the status need of a notice."""
        member = notice.facts.get("member")
        if notice.kind == NoticeKind.LEFT and isinstance(member, bytes):
            self.gone[member] = notice.facts["name"]
        self.last_sum.on_notice(notice)
        self.rounds.note(notice.kind, notice.facts)

    def _text(self, notice: Notice, facts: Facts) -> str:
        """Return what the user is told; add to ``facts`` what scripts are told besides."""
        state, text = self.node.state, told_text(notice, self.node.state)
        match notice.kind:
            case NoticeKind.STUCK:
                refound = f"peer refound {self.home.option}"
                return self._with_names(text, facts).replace("peer refound --home HOME", refound)
            case NoticeKind.VOID:
                return self._with_names(text, facts) + self._words_of(facts["members"])
            case NoticeKind.RESUMING if state.phase is Phase.FINISHED:
                return f"this home has the whole ledger of the training, up to height {state.height}"
            case NoticeKind.REFUSED if self.ending.lacks_invite(state):
                return "refused: an invite is needed"
            case NoticeKind.CLIPPED:
                facts["advice"] = self.clip_advice()
            case NoticeKind.MODEL:
                return text + self._measures_of(facts)
            case _:
                pass
        return text

    def _with_names(self, text: str, facts: Facts) -> str:
        """Replace the keys of members that left by their names: the node knows only the names of members."""
        return names_told(text, (*facts["members"], *filter(None, [facts.get("proposer")])), self.gone)

    def _words_of(self, members: tuple[bytes, ...]) -> str:
        """Say why members sat a round out, in their words."""
        said = self.rounds.voids.said
        names = {member: named(self.node.state, (member,), self.gone) for member in members if member in said}
        return "".join(f"; {name} said: {said[member]}" for member, name in names.items())

    def _measures_of(self, facts: Facts) -> str:
        """Say how good a model is, and over whose rows; put both into ``facts``."""
        state = self.node.state
        shown = facts["measures"] = measures(state.genesis.model, facts.get("loss"), facts.get("metrics", {}))
        if not shown:
            return ""
        whose = self.last_sum.told(state, facts)
        facts["measured"] = whose.json()
        return f"; {of_which_model(facts['kind'])} {measures_text(shown)}, {whose.text()}"

    def _check_consent(self) -> None:
        """End the run if the operator has not accepted what holds for the present committee.

        The default threshold follows the number of members, so a federation that grows may need a new consent.
        """
        try:
            self.consent.check(self.node.state.committee)
        except NoConsent as error:
            self.ending.fail(error)
