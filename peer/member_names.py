"""The names of members in texts, where two members with the same name are told apart.

A member chooses its name freely; it may even be a sentence. Facts for scripts hold it as it is. In sentences of ours it
stands as :func:`in_words` returns it.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..crypto.identity.identity import peer_id
from ..protocol.events import Notice
from ..protocol.ledger.state import LedgerState

SUFFIX_CHARS: Final = 6
"""How many characters of the PeerId tell two members with the same name apart."""


_IN_NAMES: Final = " .-_'’()…"
"""Characters besides letters and digits with which a name still cannot read as part of the sentence around it."""


def in_words(name: str) -> str:
    """Return a name as it stands in a sentence: in quotes if it could read as part of that sentence."""
    if all(letter in _IN_NAMES or unicodedata.category(letter)[0] in "LMN" for letter in name):
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def apart(name: str, member: bytes) -> str:
    """Return a name with the end of the member's PeerId, for a name that another member has, too."""
    return f"{name} …{peer_id(member)[-SUFFIX_CHARS:]}"


def told_names(state: LedgerState, gone: Mapping[bytes, str] = MappingProxyType({})) -> dict[bytes, str]:
    """Return the names of all members and of all in ``gone``, with the end of the PeerId where two are the same.

    ``gone``: the names of those that were members.
    """
    names = {member.key: member.name for member in state.members}
    counts = Counter([*names.values(), *(gone[key] for key in state.committee.members if key in gone.keys() - names)])
    told = {key: apart(name, key) if counts[name] > 1 else name for key, name in names.items()}
    for key, name in gone.items():
        if key not in told:
            # Of those that left, only the ones with a part in the round are among the counts.
            told[key] = apart(name, key) if counts[name] > (key in state.committee.members) else name
    return told


def told_name(state: LedgerState, member: bytes) -> str:
    """Return the name of a member as :func:`told_names` does; empty if it is no member."""
    return told_names(state)[member] if state.member(member) is not None else ""


def told_text(notice: Notice, state: LedgerState) -> str:
    """Return the text of a notice with its names as :func:`told_names` and :func:`in_words` return them.

    The node writes the names into its notices as the members chose them.
    """
    text, facts = notice.text, notice.facts
    if notice.kind in ("joined", "left"):
        name, member = facts["name"], facts["member"]
        has_double = any(one.name == name for one in state.members if one.key != member)
        return text.replace(name, in_words(apart(name, member) if has_double else name), 1)
    if notice.kind not in ("stuck", "void"):
        return text
    told = told_names(state)
    names = facts["missing" if notice.kind == "stuck" else "missed"]
    if names:
        listed = ", ".join(in_words(told.get(key, name)) for key, name in zip(facts["members"], names, strict=True))
        text = listed.join(text.rsplit(", ".join(names), 1))
    proposer = state.member(facts.get("proposer", b""))
    if proposer is None:
        return text
    return text.replace(f"as {proposer.name} saw", f"as {in_words(told[proposer.key])} saw", 1)
