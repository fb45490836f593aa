"""What a run tells its user at its beginning and at its end, and how to go on from there."""

import time
from typing import TYPE_CHECKING, Final

from ...protocol.ledger.phases import Phase
from ...protocol.ledger.state import LedgerState
from ..errors import Exit
from ..federation.consent import join_note
from ..federation.founding import explain_end, explain_norm, explain_threshold
from ..federation.invites import DEFAULT_HOURS, FOUNDING_USES, join_command, new_invite
from .departure import remains, way_back

if TYPE_CHECKING:
    from ...crypto.identity.identity import Identity
    from ...protocol.ledger.genesis import Genesis
    from ...protocol.node import Node
    from ..control.client import Json
    from ..home.folder import Home
    from ..home.settings import Settings
    from .run_end import RunEnd

NO_BEGINNING: Final = "stopped before it had begun; of this start, nothing is kept"
"""Nothing is kept, since the options of this start have not proved usable yet."""


def founded(genesis: "Genesis", founder: "Identity", addresses: list[str]) -> "tuple[str, Json]":
    """Return the text and the facts with which a founder begins: its choices, and how others join.

    Args:
        genesis: the genesis of the new federation.
        founder: the key that signs the invite, if one is needed.
        addresses: the multiaddrs at which the others reach the founder.
    """
    invite = None
    if genesis.admit == "invite":
        expires_ms = int(time.time() * 1000) + DEFAULT_HOURS * 3_600_000
        invite = new_invite(founder, genesis.federation, addresses, expires_ms, FOUNDING_USES)
    command, note = join_command(genesis, addresses, invite), join_note(genesis)
    if genesis.previous is not None:
        note += "; " if note else ""
        note += "members of the old federation add: --continues and their old home"
    text = (
        f"founded the federation {genesis.name!r} {genesis.federation.hex()[:16]}…\n"
        f"with {explain_threshold(genesis, genesis.min_peers)}\n"
        f"no member is weighted by more than {genesis.examples_ref} examples (--examples-cap)\n"
        f"{_line(explain_norm(genesis))}"
        f"{_explain_eviction(genesis.evict_after_rounds)}\n"
        f"{explain_end(genesis)}\n"
        f"training starts with {genesis.min_peers} members; the others join with:\n\n  {command}\n"
    )
    text += f"{note}\n" if note else ""
    facts = {"federation": genesis.federation, "name": genesis.name, "command": command, "invite": invite}
    return text, facts | {"note": note}


def _line(text: str) -> str:
    return f"{text}\n" if text else ""


def _explain_eviction(rounds: int) -> str:
    if not rounds:
        return "a member may stay away for as long as it likes"
    return f"a member that misses {rounds} rounds in a row is removed, and may join again"


def finished_text(state: LedgerState, settings: "Settings", home: "Home") -> str:
    """Say at the start, in a home that has the result, that nothing is left to train, and why the peer stays."""
    until = "until it is stopped" if settings.stay else f"for up to {settings.linger:g} s"
    return (
        f"the training is finished after {state.trained} rounds; this peer stays {until}, so that members that are"
        f" behind can catch up; {_take_model(home)}; {_train_on(home)}"
    )


def left_text(state: LedgerState, me: bytes, home: "Home") -> str:
    """Say at the start of a peer that left why it runs all the same, and how to come back."""
    return (
        f"this peer left its federation (height {state.gone[me].height}). It only helps to close round"
        f" {state.round} if the others need it for that, and stops then; {way_back(state, me, home)}"
    )


def end_text(ending: "RunEnd", node: "Node | None", home: "Home") -> str:
    """Say why the run ended, and what to type to go on. ``node``: None if the peer is in no federation yet."""
    text = ending.reason
    if ending.code is Exit.OK and not ending.left.is_set():
        is_finished = node is not None and node.state.phase is Phase.FINISHED
        text += "" if node is None else remains(node)
        text += f"; {_after_the_end(home) if is_finished else f'go on with: peer start {home.option}'}"
    elif ending.code is Exit.REMOVED and ending.failure is None and node is not None:
        text += f"; {way_back(node.state, ending.me, home)}"
    return text


def _after_the_end(home: "Home") -> str:
    """Say what can still be done after the end of the training."""
    behind = f"to let members that are behind catch up: peer start --stay {home.option}"
    return f"{_take_model(home)}; {behind}; {_train_on(home)}"


def _train_on(home: "Home") -> str:
    """Say how the members train further rounds: while they stay, one proposes them, and the others agree."""
    return (
        f"to train on, all members type: peer start --stay {home.option}; one of them proposes: peer propose"
        f" {home.option} --rounds +N; and the others agree: peer vote yes {home.option}"
    )


def _take_model(home: "Home") -> str:
    return f"the model: peer model export {home.option} --out model.npz"
