"""Members that did what no honest peer does, and for how long there is no link to them."""

from typing import Final

from ...protocol.limits import MAX_MEMBERS

FIRST_CUT_OFF_SECONDS: Final = 10.0
LAST_CUT_OFF_SECONDS: Final = 3600.0
"""Each time is twice as long as the one before it, up to this."""

MAX_CUT_OFFS: Final = MAX_MEMBERS
"""Members that are remembered; the one that was cut off first goes."""


class CutOffs:
    """Which members to have no link to, and until when. Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[float, float, str]] = {}

    def add(self, member: bytes, reason: str, now: float) -> float:
        """Cut a member off; returns for how many seconds."""
        _, last, _ = self._entries.pop(member, (0.0, FIRST_CUT_OFF_SECONDS / 2, ""))
        if len(self._entries) >= MAX_CUT_OFFS:
            del self._entries[next(iter(self._entries))]
        seconds = min(2 * last, LAST_CUT_OFF_SECONDS)
        self._entries[member] = (now + seconds, seconds, reason)
        return seconds

    def reason(self, member: bytes, now: float) -> str | None:
        """Why there is no link to a member now; None if there may be one."""
        until, _, reason = self._entries.get(member, (0.0, 0.0, ""))
        return reason if now < until else None
