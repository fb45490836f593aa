"""The status that `peer status` shows, of a running or a stopped peer: a JSON object, and the same as text."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import takewhile
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.blocks import Join, Membership, read_block
from ...protocol.ledger.contribution import read_metrics
from ...protocol.ledger.genesis import GenesisError, OtherVersion, read_genesis
from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerError, LedgerState, apply, genesis_state
from ...protocol.limits import PROTOCOL_VERSION
from ...protocol.messages.envelope import Verified, verify
from ...protocol.messages.kinds import JoinRequest
from ...protocol.records import BlockDecided
from ..home.facts import GENESIS
from ..home.sqlite import UPGRADING, StoreError, damaged
from ..home.store import Reader
from ..learning.metrics import RATES, figures_json, figures_to_come, measures, measures_text
from ..learning.row_owners import LastSum, RowOwners
from ..member_names import SUFFIX_CHARS, in_words
from ..network.heartbeat import decode_beat
from . import proposals
from .leaving import departure
from .voids import newest_voids

if TYPE_CHECKING:
    from ..network.link_events import PeerRow
    from .waiting import Wait

Json = dict[str, Any]
Watch = Callable[[LedgerState, bytes, LedgerState], None]


def ledger_status(state: LedgerState, view: int = 0, last_sum: LastSum | None = None) -> Json:
    """Return the part of the status that follows from the ledger.

    Args:
        state: the state of the ledger.
        view: the view of the agreement.
        last_sum: over whose test rows the last result is, which the state does not say.
    """
    genesis = state.genesis
    status: Json = {
        "federation": {
            "name": genesis.name,
            "id": state.federation.hex(),
            "previous": _hex(genesis.previous),
        },
        "height": state.height,
        "head": state.head.hex(),
        "round": state.round,
        "kind": state.kind,
        "phase": str(state.phase),
        "view": view,
        "trained": state.trained,
        "rounds": state.options.rounds,
        "patience": state.options.patience or None,
        "stale": None if state.progress is None else state.progress.stale,
        "min_peers": state.options.min_peers,
        "scheme": genesis.scheme,
        "threshold": state.committee.threshold,
        "quorum": state.committee.quorum,
        "tolerates": state.committee.f,
        "privacy": explain_privacy(state),
        "weights": state.weights_hash.hex(),
        "aggregator": None,
        "loss": None,
        "metrics": {},
        "measures": {},
        "figures": None,
        "measured": None,
        "to_come": [],
    }
    if state.phase is not Phase.FINISHED and (state.options.rounds or state.options.stopping):
        status["to_come"] = figures_to_come(genesis.model, genesis.final_metrics)
    if state.phase in (Phase.SHARING, Phase.SUMMING):
        status["aggregator"] = peer_id(state.proposer(view))
    if state.sums is not None and state.trained:
        metrics = read_metrics(genesis, state.sums)
        status["loss"] = metrics.loss
        named = status["metrics"] = dict(metrics.named)
        status["measures"] = measures(genesis.model, metrics.loss, named)
        status["figures"] = figures_json(genesis.model, metrics.loss, named, metrics.evaluated)
        if metrics.loss is not None and last_sum is not None:
            status["measured"] = last_sum.current(state, metrics.evaluated).json()
    return status


def explain_privacy(state: LedgerState) -> str:
    """Say what the number of members means; while training waits for more members, only how many it needs."""
    members, least = len(state.members), state.options.min_peers
    if state.phase is Phase.WAITING and members < least:
        return f"{members} member(s): training needs {least} (--min-peers)"
    told, now = state.committee.explain(state.genesis.scheme), state.committee.n
    if members == now or state.phase is Phase.FINISHED:
        return told
    return f"{told}; from the next round on there are {members} members, and not {now}"


def members_status(
    state: LedgerState,
    me: bytes,
    rows: "Iterable[PeerRow]",
    gone: Mapping[bytes, str] = MappingProxyType({}),
    own_name: str = "",
) -> list[Json]:
    """Return one row for each member, this peer included, and for each known peer that is no member, or none any more.

    Args:
        state: the state of the ledger.
        me: this peer.
        rows: what the network knows of the other peers.
        gone: the names of those that were members, from the ledger.
        own_name: the name of this peer if it is no member yet; if it is empty, such a peer has no row.
    """
    by_member = {row.member: row for row in rows}
    names = {member.key: member.name for member in state.members}
    missed = {member.key: member.missed for member in state.members}
    table = []
    newcomer = (me,) if own_name else ()
    for key in dict.fromkeys((*names, *newcomer, *state.committee.members, *by_member)):
        row = by_member.get(key)
        beat = decode_beat(row.status) if row is not None else None
        table.append(
            {
                "id": peer_id(key),
                "name": names.get(key) or gone.get(key) or (row.name if row else own_name if key == me else ""),
                "me": key == me,
                "member": key in names,
                "connected": key == me or (row is not None and row.connected),
                "beat_age_seconds": None if row is None else row.beat_age_seconds,
                "down_seconds": None if row is None else row.down_seconds,
                "rtt_seconds": None if row is None else row.rtt_seconds,
                "height": beat.height if beat else None,
                "round": beat.round if beat else None,
                "phase": beat.phase if beat else None,
                "missed": missed.get(key),
                "addresses": list(row.addresses) if row else [],
                "trouble": row.trouble if row else "",
            }
        )
    return table


def gone_names(state: LedgerState, blocks: Iterable[BlockDecided]) -> dict[bytes, str]:
    """Return the names of those that were members, from the blocks that admitted them."""
    if not state.gone:
        return {}
    names = {state.genesis.founder: state.genesis.founder_name}
    for one in blocks:
        body = read_block(one.block).body
        for change in body.changes if isinstance(body, Membership) else ():
            request = verify(change.request, state.federation) if isinstance(change, Join) else None
            if isinstance(request, Verified) and isinstance(request.message, JoinRequest):
                names[request.sender] = request.message.name
    return {key: name for key, name in names.items() if key in state.gone}


def faults_status(faults: Mapping[bytes, Mapping[str, int]]) -> Json:
    """Return the faults of each peer, and how often it committed each, by its PeerId: a peer can take any name."""
    return {peer_id(member): dict(counts) for member, counts in faults.items()}


def late_status(wait: "Wait | None", seconds: float) -> list[Json]:
    """Return the members that the round waits for, what it lacks of each (update or ack), and for how long."""
    if wait is None:
        return []
    since = round(seconds, 1)
    return [{"id": peer_id(key), "lacks": wait.what, "seconds": since} for key in wait.members]


def replay(reader: Reader, watch: Watch | None = None, height: int | None = None) -> LedgerState | None:
    """Return the state that a store's blocks lead to; None where there is no federation yet.

    Args:
        reader: the store.
        watch: called with the state before each block, the block, and the state after it.
        height: the height of the last block to take; None takes all.

    Raises:
        StoreError: the ledger in the store is damaged.
    """
    data = reader.fact(GENESIS)
    if data is None:
        return None
    try:
        state = genesis_state(read_genesis(data))
        for block in takewhile(lambda one: height is None or one.height <= height, reader.blocks()):
            before, state = state, apply(state, block.block)
            if watch is not None:
                watch(before, block.block, state)
    except GenesisError as error:
        raise unreadable_genesis(reader.path, error) from None
    except LedgerError as error:
        raise StoreError(damaged(reader.path, f"its ledger: {error}")) from None
    return state


def unreadable_genesis(path: Path, error: GenesisError) -> StoreError:
    """Return the exception for a home whose genesis cannot be read: it is of another version, or damaged."""
    if not isinstance(error, OtherVersion):
        return StoreError(damaged(path, f"its genesis: {error}"))
    text = (
        f"{path.parent}: this home is of protocol version {error.version}, and this Coterie speaks version"
        f" {PROTOCOL_VERSION}; it cannot go on there. "
    )
    if error.version > PROTOCOL_VERSION:
        return StoreError(f"{text}Upgrade Coterie")
    return StoreError(text + UPGRADING)


def stored_status(reader: Reader, me: bytes | None) -> Json:
    """Return the status of a stopped peer, from its store. ``me``: its key, if it has one."""
    state = replay(reader)
    status: Json = {"running": False, "id": None if me is None else peer_id(me)}
    if state is not None:
        # If the peer is started meanwhile, there may be more blocks than those that led to the state.
        blocks = list(takewhile(lambda one: one.height <= state.height, reader.blocks()))
        gone, voids = gone_names(state, blocks), newest_voids(blocks)
        status |= ledger_status(state, last_sum=LastSum(state, blocks))
        status["members"] = members_status(state, me or b"", (), gone)
        status["void"], status["voids"] = voids.facts(state), voids.text(state, gone)
        status["departed"] = departure(state, me or b"")
        for row in status["members"]:
            row["connected"] = None
    return status


def printable(text: str) -> str:
    """Return text in which nothing that a peer chose, such as its name, can play tricks on a terminal."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def lines(status: Json) -> Iterable[str]:
    """Return the status as lines of text."""
    return map(printable, _lines(status))


def _lines(status: Json) -> Iterable[str]:
    if not status.get("federation"):
        todo = "; found or join one with `peer start --home …`, or give another --home"
        yield "not in a federation yet" + (": looking for one" if status["running"] else todo)
        yield from _search(status.get("search"))
        return
    if not status["running"]:
        yield "this peer does not run; this is from its store, and its links are unknown"
    federation = status["federation"]
    yield f"federation  {in_words(federation['name'])} {federation['id'][:16]}…"
    if status.get("joining"):
        yield f"joining     {status['joining']}"
    of = f" of {status['rounds']}" if status["rounds"] else ""
    yield f"round       {_last_round(status)} ({status['kind']}), {_phase(status)}; {status['trained']}{of} trained"
    if status.get("patience") and status["stale"] is not None:
        has_ended = status["stale"] >= status["patience"]
        ends = "so training ended" if has_ended else f"training ends at {status['patience']}"
        yield f"patience    {status['stale']} rounds in a row without a better loss ({ends})"
    if status["aggregator"]:
        yield f"aggregator  {_name_of(status, status['aggregator'])} (view {status['view']})"
    yield f"height      {status['height']}, head {status['head'][:16]}…"
    yield f"privacy     {status['privacy']}"
    if status.get("page"):
        yield f"page        {status['page']}"
    for one in status.get("tracking") or ():
        trouble = f": cannot be written to ({one['trouble']})" if one["trouble"] else ""
        yield f"tracking    {one['place']}{trouble}"
    if status["measures"]:
        is_final, measured = status["phase"] == Phase.FINISHED, status.get("measured")
        over = RowOwners(**measured).text() if measured and measured["away"] else "over all members' test rows"
        if measured and not measured["away"]:
            over += f" (about {measured['rows']})"
        whose = f"of the final model, {over}" if is_final else f"{over}, a round ago"
        yield f"model       {measures_text(status['measures'])}, {whose}"
        yield from _rates(status)
    for trouble in ("departed", "leaving", "paused", "stalled", "kept_out", "voids", "left_out", "waits", "abstains"):
        if status.get(trouble):
            yield f"{trouble.replace('_', ' '):<11} {status[trouble]}"
    for row in status.get("proposals") or ():
        yield f"proposal    {proposals.line(row)}"
    if status.get("fetching"):
        yield f"receiving   {len(status['fetching'])} blobs, {sum(status['fetching']) / 1e6:.1f} MB"
    if status.get("working"):
        yield f"working     {', '.join(status['working'])}"
    yield ""
    yield f"{'member':<16} {'peer':<12} {'link':<7} {'beat':>7} {'height':>7} {'round':>6}  phase"
    for row in status["members"]:
        yield _member_line(row)
    if any(not row["member"] for row in status["members"]):
        yield "A name in brackets belongs to a linked peer that is not a member yet, or not any more."


def _search(search: Json | None) -> Iterable[str]:
    """Yield the lines on a search: where a federation is looked for, why it is not found, and what to check."""
    if search is None:
        return
    yield f"tried       {', '.join(search['addresses']) or 'what mDNS and the DHT find'}"
    if search["trouble"]:
        yield f"trouble     {search['trouble']}"
    yield "hint        check the address, the port and the firewall (peer doctor)"


def _rates(status: Json) -> Iterable[str]:
    """Yield the figures of two classes that a clinician asks for first; `peer model show` tells all figures."""
    figures = status.get("figures") or {"numbers": {}}
    rates = {name: figures["numbers"][name] for name in RATES if name in figures["numbers"]}
    if rates:
        yield f"{'':<11} of {figures['positive']!r}: {measures_text(rates)}"


def _last_round(row: Json) -> int:
    """Return the current round; once the training is finished, the last one, with which the ledger ends."""
    return int(row["round"]) - (1 if row["phase"] == Phase.FINISHED else 0)


def _phase(status: Json) -> str:
    """Return the phase; while training waits for more members, how many are missing.

    Fewer than three members never train: a sum of two updates shows each of them the other's.
    """
    missing = status["min_peers"] - sum(row["member"] for row in status["members"])
    if status["phase"] == "waiting" and missing > 0:
        newcomer = ", and this peer may be one of them" if status.get("joining") else ""
        return f"waiting for {missing} more member(s){newcomer} (--min-peers {status['min_peers']})"
    return str(status["phase"])


def _member_line(row: Json) -> str:
    link = "me" if row["me"] else _LINKS[row["connected"]]
    age = row["beat_age_seconds"]
    beat = "" if age is None else f"{age:.1f} s"
    name = in_words(row["name"][:16]) if row["member"] else f"({in_words((row['name'] or '…' + row['id'][-11:])[:14])})"
    height = "" if row["height"] is None else row["height"]
    number = "" if row["round"] is None else _last_round(row)
    tail = row["phase"] or row["trouble"] or ""
    return f"{name:<16} …{row['id'][-11:]:<11} {link:<7} {beat:>7} {height:>7} {number:>6}  {tail}"


_LINKS: Final[Mapping[bool | None, str]] = MappingProxyType({True: "up", False: "down", None: "unknown"})
"""The words for the state of a link. It is unknown if this peer does not run."""


def _name_of(status: Json, peer: str) -> str:
    """Return the name of a member, told apart from others of the same name."""
    name = next((row["name"] for row in status["members"] if row["id"] == peer), peer)
    has_double = sum(row["name"] == name for row in status["members"]) > 1
    return in_words(f"{name} …{peer[-SUFFIX_CHARS:]}" if has_double else str(name))


def _hex(data: bytes | None) -> str | None:
    return None if data is None else data.hex()


def timestamp(seconds: float | None = None) -> str:
    """Return the time of day for a line of the log. ``seconds``: unix time; None for now."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))
