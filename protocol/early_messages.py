"""Messages that came early: of a height or round, while the block that opens it is still on its way."""

from collections.abc import Callable
from dataclasses import dataclass, field

from .limits import MAX_FUTURE_MESSAGE_BYTES, MAX_FUTURE_MESSAGES_PER_MEMBER
from .messages.envelope import Verified
from .messages.kinds import Ack, Complaint, Deal, HandBox, Precommit, Prevote, SitOut, SumShare, UpheldComplaint
from .vote_guard import place

_Kept = tuple[Verified, bytes | None]


def _bytes(kept: _Kept) -> int:
    return len(kept[0].raw) + len(kept[1] or b"")


@dataclass(slots=True)
class EarlyMessages:
    """Early messages by sender. The flood of a member pushes out only that member's own messages."""

    _kept: dict[bytes, list[_Kept]] = field(default_factory=dict)

    def keep(self, message: Verified, blob: bytes | None) -> None:
        """Keep a message; if the sender's room is used up, drop its oldest ones.

        The same message is kept once: another peer may pass it on, and must not push out the rest by that.
        """
        queue = self._kept.setdefault(message.sender, [])
        if any(kept.raw == message.raw and (blob is None or has_blob is not None) for kept, has_blob in queue):
            return
        queue.append((message, blob))
        while len(queue) > MAX_FUTURE_MESSAGES_PER_MEMBER or sum(map(_bytes, queue)) > MAX_FUTURE_MESSAGE_BYTES:
            queue.pop(0)

    def forget(self, sender: bytes) -> None:
        """Drop the messages of a sender that is gone and no member."""
        self._kept.pop(sender, None)

    def forget_strangers(self, is_listened_to: Callable[[bytes], bool]) -> None:
        """Drop the messages of senders that are no longer listened to: former members without a link.

        Their links went before they ceased to be members, so no further event tells of it.
        """
        self._kept = {sender: queue for sender, queue in self._kept.items() if is_listened_to(sender)}

    def take(self, height: int, round_: int) -> list[_Kept]:
        """Return the messages of this height or round and drop older ones; later ones stay."""
        taken: list[_Kept] = []
        for sender in list(self._kept):
            later: list[_Kept] = []
            for kept in self._kept.pop(sender):
                message = kept[0].message
                if isinstance(message, Deal | Ack | SitOut | Complaint | UpheldComplaint | HandBox | SumShare):
                    age = message.round - round_
                else:
                    age = kept[0].height - height
                if age == 0:
                    taken.append(kept)
                elif age > 0:
                    later.append(kept)
            if later:
                self._kept[sender] = later
        return taken

    def latest_vote(self, member: bytes) -> Verified | None:
        """Return a member's latest vote among the early messages."""
        votes = [kept[0] for kept in self._kept.get(member, ()) if isinstance(kept[0].message, Prevote | Precommit)]
        return max(votes, default=None, key=place)
