"""How members are called where people read of them: by their names, and apart where two have the same one."""

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ..crypto.identity import peer_id
from ..protocol.ledger import LedgerState

SUFFIX_CHARS: Final = 6
"""How much of a PeerId tells two members with one name apart."""


def apart(name: str, member: bytes) -> str:
    """Return a name that another member has, too, with the end of its PeerId."""
    return f"{name} …{peer_id(member)[-SUFFIX_CHARS:]}"


def told_names(state: LedgerState, gone: Mapping[bytes, str] = MappingProxyType({})) -> dict[bytes, str]:
    """Return how each member is called, and each one that left and has a part in the round.

    ``gone``: the names of those that were members.
    """
    names = {member.key: member.name for member in state.members}
    counts = Counter([*names.values(), *(gone[key] for key in state.committee.members if key in gone.keys() - names)])
    told = {key: apart(name, key) if counts[name] > 1 else name for key, name in names.items()}
    for key, name in gone.items():
        if key not in told:
            told[key] = apart(name, key) if counts[name] > (key in state.committee.members) else name
    return told
