"""Going on in a new federation, from the last model of one that cannot decide any more.

The new federation trains on the same data. Where numbers of a member follow from model and data, two sums of them over
different members differ by exactly the numbers of the members that are in one of them only. So the genesis carries over
what is public already: the totals of the setup round, and whether the last model was evaluated. A federation whose last
sum may have been opened is not continued before the operator has said whose numbers may be shown (``--disclose``).
"""

import os
import shlex
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.blocks import Contributors, block_hash, read_block
from ...protocol.ledger.genesis import Continued, Genesis, GenesisError, read_genesis, total_bytes
from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerState
from ...protocol.limits import MAX_BARRED
from ...protocol.records import ModelSaved
from ..errors import Exit, PeerError, no_federation
from ..home.copy_guard import newest_serial
from ..home.facts import GENESIS, REFOUNDED, REFOUNDED_FROM, SETTINGS
from ..home.folder import Home, HomeError, KeyProblem, missing_key
from ..home.settings import Settings, read_settings
from ..home.store import FILE_NAME, Reader, Store
from ..member_names import in_words
from ..reporting.status import replay
from .founding import check_min_peers

_CARRIED_OVER: Final = {
    "model": "model",
    "shapes": "shapes",
    "metrics": "metrics",
    "final_metrics": "metrics of the evaluation",
    "weights_hash": "initial weights",
    "setup_sums": "setup sums",
    "totals": "totals of the setup round",
    "is_evaluated": "whether the initial weights were evaluated",
    "barred": "members that cheated",
    "scheme": "scheme",
    "threshold": "threshold",
    "bounds": "what dealings prove",
}
"""What a new federation takes over from the one that it continues, and what its members compare: fields of the genesis,
and their names in messages.
"""


@dataclass(frozen=True, slots=True)
class OpenSum:
    """A sum on the current base model that may have been opened: it has no result, or left the model unchanged."""

    round: int
    kind: str
    contributors: frozenset[bytes]
    has_result: bool = False
    """The sum, or a later one, has a result, which left the model as it was."""

    def exposed(self, state: LedgerState, founder: bytes) -> tuple[bytes, ...]:
        """Return the members whose numbers another sum may show: those that may be in only one of the two sums.

        The other sum is on the same base model, in the new federation. Only its founder is sure to contribute to it.
        Each of the others may stay away, or join for the first time.
        """
        return tuple(sorted({*self.contributors, *state.keys} - (self.contributors & {founder})))

    @property
    def numbers(self) -> str:
        """What such a sum adds up, in words."""
        if self.kind == "setup":
            return "setup sums (exact counts, sums and sums of squares of its table)"
        return "loss and metrics" if self.kind == "evaluate" else "update, loss and metrics"


def open_sum(state: LedgerState, seen: Collection[bytes] = ()) -> OpenSum | None:
    """Return the sum on this base model that may have been opened; None if there is none.

    That is a sum that was decided and has no result, or failed. A sum with a result that left the model unchanged
    counts, too: then the updates are the same as before.

    Args:
        state: the state of the ledger.
        seen: the blocks for which this peer has seen a quorum's prevotes at the next height. The others may have
            decided one of them already.
    """
    found = {*(state.required or ())}
    bodies = [read_block(block).body for block in seen] if state.phase is Phase.SHARING else []
    for body in (state.contributors, *bodies):
        if isinstance(body, Contributors):
            found |= {state.committee.members[index] for index, _ in body.dealers}
    if found:
        return OpenSum(state.round, state.kind, frozenset(found))
    before = state.bases.get(state.weights_hash)
    summed = frozenset() if before is None else frozenset(before.contributors) - {*_barred(state)}
    return OpenSum(state.round, "train", summed, has_result=True) if summed else None


def _barred(state: LedgerState) -> list[bytes]:
    """Return the members that were evicted on proof, the newest last."""
    return [one.key for one in state.gone.values() if one.barred]


def refound(
    old: Home,
    new: Home,
    min_peers: int | None,
    rounds: int | None,
    disclosed: Sequence[str] | None = None,
    share_deadline: float | None = None,
) -> str:
    """Make ``new`` the home of a new federation's founder, with the old model, task, key and settings.

    The new genesis names the head of the old ledger, so that everybody can see what it continues.

    Args:
        old: the home of a member of the old federation; it is given up.
        new: the home to make.
        min_peers: the new ``--min-peers``; None keeps the old one.
        rounds: the new ``--rounds``; None keeps the old number.
        disclosed: names or PeerIds of the members whose numbers may be shown, where a sum may have been opened.
        share_deadline: the new ``--share-deadline`` in seconds; None keeps the old one.

    Returns:
        A text for the user: what was made, and how to start it.

    Raises:
        PeerError: the old peer runs, has no model, or the new home is in use; or the new federation would show numbers
            of members that are not ``disclosed``.
    """
    if min_peers is not None:
        check_min_peers(min_peers, "; two members that are left need a third one: it can join the new federation")
    old.check()
    if old.running_pid() is not None:
        raise HomeError(f"{old.folder}: the peer runs; stop it first (`peer stop {old.option}`)")
    if (new.folder / FILE_NAME).exists():
        raise HomeError(f"{new.folder}: there is a peer already; choose another --to")
    idle = _check_not_refounded(old)
    state, model, settings, public, pending = _read(old)
    if public in _barred(state):
        raise PeerError(
            f"{old.folder}: this peer was evicted for cheating, so another member must refound the federation"
        )
    told = _check_disclosure(old, new, state, public, pending, disclosed)
    genesis = _continued(state, public, settings.name, min_peers, rounds, share_deadline, pending)
    new.prepare()
    new.take_key(old)
    kept = settings.with_given(
        {
            "bootstrap": (),
            "invite": None,
            "continues": None,
            "min_peers": genesis.min_peers,
            "rounds": genesis.rounds,
            "share_deadline": genesis.share_deadline_ms / 1000,
            "round_time": (genesis.round_time_ms or 0) / 1000,
        }
    )
    # First of all, so that after a crash in the middle none of the homes starts, and never two of them do.
    for home in (*idle, old, *_made_for(old)):
        _give_up(home, new)
    with new.locked(), Store.open(new.folder) as store:
        store.persist([model])
        store.keep(SETTINGS, kept.encode())
        store.keep(GENESIS, genesis.encode())
        store.keep(REFOUNDED_FROM, os.fsencode(old.folder))
    return (
        f"{new.folder}: a new federation {genesis.federation.hex()[:16]}… that continues {state.head.hex()[:16]}…\n"
        f"{told}"
        f"start it with: peer start {new.option}\n"
        f"training starts there with {genesis.min_peers} members (--min-peers): if fewer are left, others have to"
        " join\n"
        f"do not start {old.folder} again; the others join with a new --home and the line that is printed then, and"
        " with --continues and their old home, so that their peer compares both federations"
    )


def _check_not_refounded(old: Home) -> list[Home]:
    """Refuse to found two federations on the same data; return the homes that were made before and never began.

    These have to be given up, too. A home that was deleted does not count: only the operator knows what became of it.

    Raises:
        PeerError: another federation may have begun, or is running.
    """
    idle: list[Home] = []
    for other in _made_from(old):
        has_begun = True
        with suppress(PeerError), Reader.open(other.folder) as reader:
            has_begun = reader.height() > 0
        if has_begun or other.running_pid() is not None:
            raise PeerError(
                f"{old.folder}: {refounded_text(os.fsencode(other.folder))} Where that one has to be continued too,"
                " refound from there",
                Exit.FEDERATION,
            )
        idle.append(other)
    return idle


def _made_from(old: Home) -> list[Home]:
    """Return all homes that were refounded from this one, directly or through others, and still have a store."""
    found: dict[Path, Home] = {old.folder: old}
    waiting = [old]
    while waiting:
        with suppress(PeerError), Reader.open(waiting.pop().folder) as reader:
            for name in filter(None, (reader.fact(REFOUNDED) or b"").split(b"\0")):
                home = Home(Path(os.fsdecode(name)))
                if home.folder not in found and (home.folder / FILE_NAME).exists():
                    found[home.folder] = home
                    waiting.append(home)
    return [home for home in found.values() if home is not old]


def _made_for(home: Home) -> list[Home]:
    """Return the homes that this one was refounded from, the latest first: each of them notes the new home as well.

    Otherwise they would not know of it once a home in between is deleted.
    """
    found: dict[Path, Home] = {home.folder: home}
    while (home.folder / FILE_NAME).exists():
        with Reader.open(home.folder) as reader:
            before = reader.fact(REFOUNDED_FROM)
        home = Home(Path(os.fsdecode(before or b"")))
        if before is None or home.folder in found:
            break
        found[home.folder] = home
    return [one for one in list(found.values())[1:] if (one.folder / FILE_NAME).exists()]


def _give_up(home: Home, new: Home) -> None:
    """Note in a home for which other home it is given up, so that it does not start any more.

    It keeps the names of all homes that it was ever given up for.
    """
    with home.locked(), Store.open(home.folder) as store:
        before = (store.fact(REFOUNDED) or b"").split(b"\0")
        names = [*filter(None, before), os.fsencode(new.folder)]
        store.keep(REFOUNDED, b"\0".join(names))


def _check_disclosure(
    old: Home, new: Home, state: LedgerState, me: bytes, pending: OpenSum | None, disclosed: Sequence[str] | None
) -> str:
    """Refuse to show numbers of members that ``disclosed`` does not name; return a note about those that it names."""
    if pending is None:
        if disclosed:
            raise PeerError("--disclose: leave this option out; no member's numbers would be shown")
        return ""
    exposed = pending.exposed(state, me)
    names, summed = (
        ", ".join(in_words(_name(state, key)) for key in keys) for keys in (exposed, sorted(pending.contributors))
    )
    if pending.has_result:
        begun = f"a sum over {summed} was decided before on the very model that the ledger ends with."
    else:
        begun = (
            f"a sum over {summed} may have been decided (in round {pending.round} or before), and there is no result: a"
            " member may have opened that sum."
        )
    what = (
        f"{begun} The new federation would add up the same numbers again, over other members. By comparing both sums,"
        f" that member could learn the {pending.numbers} of every member that is in only one of them. That may"
        f" affect: {names}"
    )
    if disclosed is None:
        named = " ".join(_word(state, key, exposed) for key in exposed)
        raise PeerError(
            f"{old.folder}: {what}. Start the missing members again, and this one with `peer start {old.option}`, so"
            " that the round comes to its end. If they are lost for good and these numbers may be shown, type: peer"
            f" refound {old.option} --to {new.quoted} --disclose {named}",
            Exit.FEDERATION,
        )
    wanted = {key for text in disclosed for key in exposed if text in (_name(state, key), peer_id(key))}
    unknown = [text for text in disclosed if not any(text in (_name(state, key), peer_id(key)) for key in exposed)]
    if unknown or wanted != set(exposed):
        raise PeerError(f"--disclose: name exactly the members whose numbers may be shown: {names}")
    return f"{what}. This was accepted with --disclose\n"


def _name(state: LedgerState, key: bytes) -> str:
    member = state.member(key)
    return member.name if member is not None else peer_id(key)


def _word(state: LedgerState, key: bytes, among: Sequence[bytes]) -> str:
    """Return a member's name for a command; its PeerId if the name is not unique, or could be taken for an option."""
    name = _name(state, key)
    is_plain = [_name(state, one) for one in among].count(name) == 1 and not name.startswith("-")
    return shlex.quote(name if is_plain else peer_id(key))


def check_old_home(old: Home) -> None:
    """Check that ``--continues`` names a home. This can be done before the new federation is found.

    Raises:
        PeerError: it names no home.
    """
    if not (old.folder / FILE_NAME).exists() and not newest_serial(old.folder):
        raise PeerError(
            f"--continues {old.folder}: there is no store, so this is no home of a peer; give the folder that was this"
            " peer's --home in the old federation",
            Exit.FEDERATION,
        )
    old.check()


def check_continued(genesis: Genesis, old: Home, me: bytes | None = None) -> None:
    """Compare the federation to join with the one that it continues, as this peer's old home knows that one.

    Args:
        genesis: the genesis of the federation to join.
        old: this peer's home in the old federation.
        me: this peer's key; if it is given, the old home of the founder is refused, which cannot be this peer's.

    Raises:
        PeerError: the genesis does not follow from the old ledger; or this peer's numbers would be shown.
    """
    check_old_home(old)
    with Reader.open(old.folder) as reader:
        state = replay(reader)
        heads = [block_hash(one.block) for one in reader.blocks()] if state is not None else []
        pending = None if state is None else open_sum(state, reader.seen(state.height + 1))
    if state is None:
        raise PeerError(f"--continues {old.folder}: that peer is in no federation", Exit.FEDERATION)
    if genesis.previous is None:
        raise PeerError(
            f"--continues {old.folder}: the federation {genesis.name!r} does not say that it continues another one",
            Exit.FEDERATION,
        )
    if genesis.previous != state.head:
        raise PeerError(f"--continues {old.folder}: {_other_head(genesis.previous, state, heads)}", Exit.FEDERATION)
    if me is not None and old.public_key() == genesis.founder != me:
        raise PeerError(
            f"--continues {old.folder}: this is the old home of {in_words(genesis.founder_name)}, which founded the new"
            " federation; give the folder that was the --home of this peer in the old federation, or leave --continues"
            " out if this peer was not in it",
            Exit.FEDERATION,
        )
    expected = _continued(
        state, genesis.founder, genesis.founder_name, genesis.min_peers, genesis.rounds, pending=pending
    )
    if not genesis.final_metrics:  # its founder may know more of a sum that may be open
        expected = msgspec.structs.replace(expected, final_metrics=())
    wrong = [told for name, told in _CARRIED_OVER.items() if getattr(genesis, name) != getattr(expected, name)]
    if wrong:
        raise PeerError(
            f"--continues {old.folder}: the new federation differs from the old one in {', '.join(wrong)}; ask its"
            " founder why, and leave --continues out only if you accept that",
            Exit.FEDERATION,
        )
    me = old.public_key()
    if pending is not None and me is not None and me not in pending.contributors:
        raise PeerError(
            f"--continues {old.folder}: round {pending.round} of the old federation may have been opened without this"
            f" peer. A sum over the same members and this one shows its {pending.numbers} to the member that opened it."
            " Leave --continues out only if you accept that",
            Exit.FEDERATION,
        )


def _other_head(previous: bytes, state: LedgerState, heads: list[bytes]) -> str:
    if previous in (state.federation, *heads):
        height = (state.federation, *heads).index(previous)
        return (
            f"the new federation continues the old one from height {height}, and its ledger here goes on to height"
            f" {state.height}; a sum that was decided since would be added up again over other members. The member"
            " with the longest ledger has to refound"
        )
    return (
        f"the new federation continues a block that is not in the ledger here (height {state.height}): it is the block"
        " of another federation, or this ledger is behind. Start the old home until it has caught up"
    )


def _read(old: Home) -> tuple[LedgerState, ModelSaved, Settings, bytes, OpenSum | None]:
    """Return the old ledger's state and last model, the settings, the member's key, and the sum that may be open."""
    with Reader.open(old.folder) as reader:
        state, model, settings = replay(reader), reader.model(), read_settings(reader.fact(SETTINGS))
        pending = None if state is None else open_sum(state, reader.seen(state.height + 1))
    if state is None:
        raise PeerError(no_federation(old.folder), Exit.FEDERATION)
    public = old.public_key()
    if public is None:
        raise KeyProblem(missing_key(old))
    if model is None or model.weights_hash != state.weights_hash:
        raise PeerError(
            f"{old.folder}: the last model is missing or damaged, so another member must refound the federation",
            Exit.STORE,
        )
    return state, model, settings, public, pending


def _continued(
    state: LedgerState,
    founder: bytes,
    name: str,
    min_peers: int | None,
    rounds: int | None,
    share_deadline: float | None = None,
    pending: OpenSum | None = None,
) -> Genesis:
    """Return the genesis of the federation that goes on from this state.

    ``pending``: the sum that may be open, where more is known of it than the ledger says.
    """
    old = state.genesis
    barred = _barred(state)
    is_open = (pending or open_sum(state)) is not None
    is_evaluating = state.kind == "evaluate" and (state.phase is Phase.FINISHED or is_open)
    may_be_evaluated = is_evaluating or state.final_sum is not None
    genesis = msgspec.structs.replace(
        old,
        founder=founder,
        founder_name=name,
        created_ms=int(time.time() * 1000),
        weights_hash=state.weights_hash,
        bounds=None if old.bounds is None else msgspec.structs.replace(old.bounds, quarters=state.quarters),
        min_peers=min_peers or state.agreed.min_peers,
        rounds=state.agreed.rounds if rounds is None else rounds,
        evict_after_rounds=state.agreed.evict_after_rounds,
        stopping=state.agreed.stopping,
        share_deadline_ms=old.share_deadline_ms if share_deadline is None else round(share_deadline * 1000),
        roster=tuple(sorted({*old.roster, founder} - {*barred})) if old.admit == "roster" else (),
        continued=Continued(
            head=state.head,
            setup_totals=tuple(map(total_bytes, state.totals or ())) if old.setup_sums else (),
            evaluated=state.phase is Phase.FINISHED or state.is_measured,
            barred=tuple(barred[-MAX_BARRED:]),
        ),
        # If the evaluation may have been opened, there is no second one: its metrics can be the same for any model.
        final_metrics=() if may_be_evaluated else old.final_metrics,
    )
    try:
        return read_genesis(genesis.encode())
    except GenesisError as error:
        raise PeerError(f"no federation can continue this one with these options: {error}") from None


def refounded_text(folder: bytes) -> str:
    """Say that a home was given up for another one, and why it stays so. ``folder``: the fact REFOUNDED."""
    other = os.fsdecode(folder.rpartition(b"\0")[2])
    return (
        f"this home was given up for the new federation of {other} (`peer refound`); start that one: peer start --home"
        f" {shlex.quote(other)}. Both together would add up the same data over different members, and so show the"
        " numbers of single ones."
    )
