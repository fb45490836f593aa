"""What strangers do, told in one line a minute: anybody can connect, and nobody may fill the log of a peer that way."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

import trio

from ..network.network import NO_HANDSHAKE_AT_MEMBERS, Network

MINUTE_SECONDS: Final = 60.0
MAX_REASONS: Final = 8
"""How many different reasons are counted apart; strangers can invent any number."""

MANY: Final = 64
"""From this many links of strangers in a minute on there is a line even if none was refused. A join takes a few links.
"""

_OTHER: Final = "other reasons"

log = logging.getLogger("coterie.strangers")


class StrangerLog:
    """Counts what strangers did in the current minute."""

    def __init__(self) -> None:
        self._linked = 0
        self._refused: Counter[str] = Counter()

    def linked(self, member: bytes) -> None:
        """Count a link to a stranger."""
        self._linked += 1
        log.debug("a stranger has a link: %s", member.hex())

    def refused(self, why: str, count: int = 1) -> None:
        """Count connections of strangers that were refused or cut off."""
        if why not in self._refused and len(self._refused) >= MAX_REASONS:
            why = _OTHER
        self._refused[why] += count
        log.debug("%d connection(s) of strangers refused: %s", count, why)

    def sum_up(self, elsewhere: Mapping[str, int]) -> tuple[str, dict[str, int]] | None:
        """Return the line for the minute that is over, with its facts, and begin a new count.

        Args:
            elsewhere: how many connections were refused before this class could count them, by reason.

        Returns:
            The line and its facts; None if there is nothing to tell.
        """
        for why, count in elsewhere.items():
            if count:
                self.refused(why, count)
        linked, refused = self._linked, self._refused
        self._linked, self._refused = 0, Counter()
        total = sum(refused.values())
        whose = "" if refused[NO_HANDSHAKE_AT_MEMBERS] else " of strangers"
        if not total and linked < MANY:
            return None
        facts = {"refused": total, "linked": linked}
        if not total:
            return f"in the last minute {linked} connections of strangers were let in, and none was refused", facts
        reasons = ", ".join(f"{count}× {why}" for why, count in refused.most_common())
        text = f"in the last minute {total} connection(s){whose} were refused or cut off"
        return f"{text} ({reasons}); {linked} of strangers were let in", facts


async def tell_each_minute(
    strangers: StrangerLog, network: Network, tell: Callable[[str, str, dict[str, Any]], None]
) -> None:
    """Tell once a minute what strangers did. ``tell`` gets the kind of an event, its text and its facts."""
    while True:
        await trio.sleep(MINUTE_SECONDS)
        told = strangers.sum_up(network.turned_away())
        if told is not None:
            tell("strangers", *told)
