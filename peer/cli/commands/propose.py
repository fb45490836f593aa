"""`peer propose` proposes other options of the training to the members; `peer vote` votes on what is proposed."""

import argparse
from typing import Any

from ....protocol.limits import MAX_MEMBERS, MIN_TRAINING_MEMBERS
from ...errors import PeerError
from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json
from ..arguments.values import count, whole

_CHANGES = ("rounds", "patience", "min_peers", "evict_after")


def register(subcommands: Subcommands) -> None:
    """Add both commands."""
    propose = add_command(subcommands, "propose", "propose other options of the training to the members", run_propose)
    propose.epilog = "Options that are not given stay as they are. `peer status` shows those that hold now."
    rounds = "train until N rounds are done in all, or N more with +N; also after the end (0: until stopped)"
    propose.add_argument("--rounds", type=_rounds, metavar="[+]N", help=rounds)
    patience = "end training after N rounds in a row without a better loss (0: never)"
    propose.add_argument("--patience", type=whole(0), metavar="N", help=patience)
    least = whole(MIN_TRAINING_MEMBERS, MAX_MEMBERS)
    propose.add_argument("--min-peers", type=least, metavar="N", help="members that training waits for")
    evict = "missed rounds in a row until removal (0: never)"
    propose.add_argument("--evict-after", type=whole(0), metavar="N", help=evict)
    add_json(propose)
    vote = add_command(subcommands, "vote", "list what is proposed, or vote on it", run_vote)
    vote.add_argument("answer", nargs="?", choices=("yes", "no"), help="a vote is final (default: list the proposals)")
    vote.add_argument("id", nargs="?", metavar="ID", help="beginning of the proposal's id; not needed if one is open")
    add_json(vote)


def _rounds(text: str) -> tuple[bool, int]:
    """Read a number of rounds; return whether it is that of further rounds, and the number."""
    return (True, count(text[1:])) if text.startswith("+") else (False, whole(0)(text))


def run_propose(given: argparse.Namespace) -> int:
    """Propose what was given, and say how the votes stand."""
    from ...control.client import ask

    change: dict[str, Any] = {name: getattr(given, name) for name in _CHANGES if getattr(given, name) is not None}
    if not change:
        raise PeerError("nothing is proposed: give --rounds, --patience, --min-peers or --evict-after")
    is_more, rounds = change.pop("rounds", (False, None))
    if rounds is not None:
        change["more_rounds" if is_more else "rounds"] = rounds
    answer = ask(home_of(given).socket_path, {"do": "propose", "change": change})
    _show(given, [answer["proposal"]])
    return 0


def run_vote(given: argparse.Namespace) -> int:
    """List the open proposals, or vote on one."""
    from ...control.client import ask

    path = home_of(given).socket_path
    if given.answer is None:
        _show(given, ask(path, {"do": "proposals"})["proposals"])
        return 0
    answer = ask(path, {"do": "vote", "accepts": given.answer == "yes", "proposal": given.id or ""})
    _show(given, [answer["proposal"]])
    return 0


def _show(given: argparse.Namespace, found: list[dict[str, Any]]) -> None:
    from ...reporting.proposals import line
    from ...reporting.status import printable

    if given.json:
        print_json({"proposals": found})
        return
    for row in found:
        print(printable(line(row)))
    if not found:
        print("nothing is proposed")
