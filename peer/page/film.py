"""A run that is over, kept as the page would have been told of it: what it shows first, and each change after that.

A film is told of a run as it happens (see ``topology.viewpoint``) and is a JSON object when the run has ended:

===========  =================================================================================
``status``   what `peer status --json` of the viewed peer would have printed at the beginning
``rows``     the blocks of its ledger at the beginning, as `peer ledger show --json` has them
``changes``  ``[ms, what, value]``, in order of their time; see below
``end_ms``   when the run ended
``lies``     by PeerId, how a member lies
``summary``  pairs of texts: what, and how much or whom
===========  =================================================================================

A change is a ``status`` (the fields that differ), ``members`` (by PeerId, the fields of its row that differ), one more
``row`` of the ledger, one more ``round`` or ``notice`` of the history, or ``cut``: there was more than is kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ...crypto.identity.identity import peer_id
from ...protocol.events import Notice, NoticeKind
from ...protocol.ledger.blocks import Void, read_block
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.state import genesis_state
from ...protocol.messages.kinds import CertifiedBlock
from ...protocol.node import Node
from ...protocol.records import BlockDecided
from ..learning.row_owners import LastSum
from ..member_names import told_text
from ..network.heartbeat import encode_beat
from ..network.link_events import PeerRow
from ..reporting.ledger_rows import genesis_row, row_after, told
from ..reporting.reporters import plain_facts
from ..reporting.status import ledger_status, members_status, printable
from ..reporting.voids import newest_voids
from ..reporting.waiting import Wait, awaited_in_round
from .history import History

Json = dict[str, Any]

STEP_MS: Final = 50
"""Changes of the status that come within this time are one."""

MAX_CHANGES: Final = 100_000
"""A page with more of them is slow to open: the film is cut there."""

IS_DOWN: Final = "This peer is down: what is shown is what it knew before."


class Film:
    """The page of one peer, over a whole run. Satisfies ``topology.viewpoint.Film``."""

    def __init__(
        self, genesis: Genesis, blocks: Sequence[BlockDecided], me: bytes, labels: Mapping[bytes, str]
    ) -> None:
        """``blocks``: the ledger at the beginning. ``me``: the viewed peer.

        ``labels``: what the members are called here, whatever the ledger calls them.
        """
        self._me, self._labels = me, labels
        self._now_ms = 0
        self._traffic = (0, 0)
        self._history = History(lambda: self._traffic, self._seconds, None, self._seconds)
        self._state = genesis_state(genesis)
        self._names: dict[bytes, str] = {}
        """What each member was called in the ledger."""
        rows = [_row_json(genesis_row(genesis))]
        rows += [self._next_row(CertifiedBlock(block.block, block.certificate)) for block in blocks]
        self._blocks = list(blocks)
        self._last_sum = LastSum(self._state, blocks)
        self._view = 0
        self._wait: Wait | None = None
        self._waits_since_ms = 0
        self._is_down = False
        self._peers: dict[bytes, PeerRow] = {}
        self._lost_ms: dict[bytes, int] = {}
        self._told = self._status()
        """The status as it was told last, with its members."""
        self._shown_ms = -STEP_MS
        self._is_stale = False
        self._changes: list[tuple[int, str, Any]] = []
        self._begin = {"status": self._told, "rows": rows}

    # What a viewpoint tells.

    def stand(self, at_ms: int, node: Node) -> None:
        """Take where the peer's node stands now."""
        wait = awaited_in_round(node)
        if (node.state.height, node.view, wait) == (self._state.height, self._view, self._wait):
            return
        self._pass(at_ms)
        if wait is not None and (self._wait is None or self._wait.round != wait.round):
            self._waits_since_ms = at_ms
        self._view, self._wait = node.view, wait
        self._is_stale = True

    def see(self, at_ms: int, member: bytes, is_linked: bool, height: int, round: int, phase: str) -> None:
        """Take where another peer stands, and whether there is a link to it."""
        self._pass(at_ms)
        self._lost_ms.pop(member, None)
        if not is_linked:
            self._lost_ms[member] = at_ms
        self._peers[member] = PeerRow(
            member=member,
            name="",
            addresses=(),
            connected=is_linked,
            is_member=True,
            beat_age_seconds=0.0 if is_linked else None,
            rtt_seconds=None,
            status=encode_beat(height, round, phase),
            trouble="",
            down_seconds=None if is_linked else 0.0,
        )
        self._is_stale = True

    def decide(self, at_ms: int, block: CertifiedBlock) -> None:
        """Take the next block of the peer's ledger."""
        self._pass(at_ms)
        row = self._next_row(block)
        self._blocks.append(BlockDecided(self._state.height, block.block, block.certificate))
        if not isinstance(read_block(block.block).body, Void):
            self._blocks = self._blocks[-1:]  # only the void rounds with which the ledger ends are looked at
        self._is_stale = True
        self._flush()
        self._add("row", row)

    def tell(self, at_ms: int, notice: Notice, sent_bytes: int, received_bytes: int) -> None:
        """Take a notice of the peer, and how much it had sent and received by then."""
        self._pass(at_ms)
        self._traffic = (sent_bytes, received_bytes)
        self._last_sum.on_notice(notice)
        notice = self._labelled(notice)
        facts = dict(notice.facts)
        if "member" in facts and "name" not in facts:
            facts["who"] = self._labels.get(facts["member"], "")
        self._take(notice.kind, notice.text, plain_facts(facts))

    def happen(self, at_ms: int, text: str, own_end: bool | None = None) -> None:
        """Take what no peer is told of."""
        self._pass(at_ms)
        if own_end is not None:
            self._is_down, self._is_stale = own_end, True
        self._flush()
        self._take("network", text, {})

    def json(self, end_ms: int, lies: Iterable[tuple[bytes, str]], summary: Iterable[tuple[str, str]]) -> Json:
        """Return the film; ``lies`` and ``summary`` as the module's docstring says."""
        self._pass(end_ms)
        self._flush()
        told = {"lies": {peer_id(key): how for key, how in lies}, "summary": [list(pair) for pair in summary]}
        return self._begin | told | {"changes": self._changes, "end_ms": end_ms}

    # Changes.

    def _seconds(self) -> float:
        return self._now_ms / 1000

    def _pass(self, at_ms: int) -> None:
        """Let the time pass; what has changed a while ago is told as of then."""
        if self._is_stale and at_ms >= self._shown_ms + STEP_MS:
            self._flush()
        self._now_ms = at_ms

    def _flush(self) -> None:
        if not self._is_stale:
            return
        self._is_stale, self._shown_ms = False, self._now_ms
        status = self._status()
        before, self._told = self._told, status
        members, rows = before["members"], status["members"]
        if [row["id"] for row in members] == [row["id"] for row in rows]:
            different = {row["id"]: _different(old, row) for old, row in zip(members, rows, strict=True)}
            changed = {peer: fields for peer, fields in different.items() if fields}
            if changed:
                self._add("members", changed)
            before = before | {"members": rows}
        fields = _different(before, status)
        if fields:
            self._add("status", fields)

    def _take(self, kind: str, text: str, facts: Json) -> None:
        place = self._history.newest
        if self._history.take(kind, text, facts):
            for what, row in self._history.since(place):
                self._add(what, row)

    def _add(self, what: str, value: Any) -> None:
        if len(self._changes) < MAX_CHANGES:
            self._changes.append((self._now_ms, what, value))
        elif self._changes[-1][1] != "cut":
            self._changes.append((self._now_ms, "cut", None))

    # What is shown.

    def _next_row(self, block: CertifiedBlock) -> Json:
        row, state = row_after(self._state, block)
        self._names.update((member.key, member.name) for member in state.members)
        members = (replace(member, name=self._labels.get(member.key, member.name)) for member in state.members)
        self._state = replace(state, members=tuple(members))
        by_peer = {peer_id(key): label for key, label in self._labels.items()}
        for change in row.get("changes", ()):
            change["name"] = by_peer.get(change["peer"], change["name"])
        return _row_json(row)

    def _labelled(self, notice: Notice) -> Notice:
        """Return a notice in which members are called by their labels."""
        text, facts = notice.text, dict(notice.facts)
        if notice.kind in (NoticeKind.JOINED, NoticeKind.LEFT):
            label = self._labels.get(facts["member"], facts["name"])
            text = text.replace(facts["name"], label, 1)
            facts["name"] = label
        elif notice.kind == NoticeKind.VOID:
            proposer = facts["proposer"]
            said = self._names.get(proposer, "")
            text = text.replace(f"as {said} saw", f"as {self._labels.get(proposer, said)} saw", 1)
        return replace(notice, text=told_text(replace(notice, text=text), self._state), facts=facts)

    def _status(self) -> Json:
        state = self._state
        rows = members_status(state, self._me, self._peers.values(), self._labels, self._labels[self._me])
        for key, row in zip(self._keys(), rows, strict=True):
            row["down_at_ms"] = self._lost_ms.get(key)
        is_waiting = self._wait is not None and self._wait.round == state.round and state.phase == "sharing"
        voids = newest_voids(self._blocks)
        return {
            "running": not self._is_down,
            "id": peer_id(self._me),
            "name": self._labels[self._me],
            "uptime_seconds": 0.0,
            "traffic": {"sent_bytes": self._traffic[0], "received_bytes": self._traffic[1]},
            "members": rows,
            **ledger_status(state, self._view, self._last_sum),
            "voids": voids.text(state, self._labels),
            "stalled": IS_DOWN if self._is_down else None,
            "late": self._late() if is_waiting else [],
            "faults": {},
        }

    def _keys(self) -> Iterable[bytes]:
        """The members of the rows, in the order of :func:`..reporting.status.members_status`."""
        state = self._state
        return dict.fromkeys((*state.keys, self._me, *state.committee.members, *self._peers))

    def _late(self) -> list[Json]:
        wait = self._wait
        assert wait is not None
        return [{"id": peer_id(key), "lacks": wait.what, "since_ms": self._waits_since_ms} for key in wait.members]


def _row_json(row: Json) -> Json:
    return {**row, "text": printable(told(row))}


def _different(old: Json, new: Json) -> Json:
    return {name: value for name, value in new.items() if name not in old or old[name] != value}
