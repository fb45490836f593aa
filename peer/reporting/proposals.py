"""Open proposals to change options of the training, for `peer vote`, `peer status` and scripts."""

from collections.abc import Iterable
from typing import Any, Final

from ...crypto.identity.identity import peer_id
from ...protocol.ledger.options import told, wanted
from ...protocol.ledger.state import LedgerState
from ...protocol.open_proposals import OpenProposal
from ..member_names import in_words, told_names

Json = dict[str, Any]

SHOWN_CHARS: Final = 8
"""Characters of a proposal's id that are shown, and are enough to vote."""


def rows(state: LedgerState, me: bytes, found: Iterable[OpenProposal]) -> list[Json]:
    """Return a row for each open proposal. ``me``: this peer, which may have voted."""
    names = told_names(state)
    return [
        {
            "id": one.id.hex(),
            "proposer": peer_id(one.envelope.sender),
            "name": names.get(one.envelope.sender, ""),
            "options": told(one.proposal.change),
            "change": {name: value for name, value in wanted(one.proposal.change).items() if value is not None},
            "accepting": [names.get(vote.sender, "") for vote in one.accepting],
            "refusing": [names.get(vote.sender, "") for vote in one.refusing],
            "needed": one.needed,
            "refused": one.is_refused,
            "own_vote": one.vote_of(me),
        }
        for one in found
    ]


def line(row: Json) -> str:
    """Return a row in words: who proposes what, how the votes stand, and what to type."""
    short = row["id"][:SHOWN_CHARS]
    text = f"{short}: {in_words(row['name'])} proposes {row['options']}; {_votes(row)}"
    if row["refused"]:
        return f"{text}; refused"
    if row["own_vote"] is None:
        return f"{text}; to vote: peer vote yes {short} (or no)"
    return f"{text}; this peer voted {'yes' if row['own_vote'] else 'no'}"


def _votes(row: Json) -> str:
    said = f"{len(row['accepting'])} yes of {row['needed']} needed"
    said += f" ({', '.join(map(in_words, row['accepting']))})" if row["accepting"] else ""
    if row["refusing"]:
        said += f", {len(row['refusing'])} no ({', '.join(map(in_words, row['refusing']))})"
    return said
