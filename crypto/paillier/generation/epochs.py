"""When a new key is in force: its holders have confirmed it, and the federation has decided that.

A protocol between several parties cannot end for all of them at once. The last message of a generation may reach some
parties and not others, by accident or because its sender wants that. If each party adopted its key by what it heard
itself, one would have the key and another would begin anew. So no party adopts a key by itself:

1. A machine (`joint_key`, `reshare`) gives a `Pending` key. Its share cannot be read yet.
2. The party keeps `Pending.to_bytes()` durably, and only then signs its confirmation (`Pending.confirm`).
3. Somebody collects confirmations, of all parties of a generation, or of all new holders but a tolerated number, and
   makes a `Record` of them (`certify`). The federation decides a block with the record, or that the run is dropped.
4. Everybody reads the record of the decided block (`read_epoch`), which gives the `Epoch`. With it a holder takes its
   share out of what it kept (`Pending.share`), also after a crash, and whatever its machine said in the end.

A party confirms at most one key of a run, and of any two records of one run one honest party has confirmed both keys.
So there is at most one key, and whoever has its record can show it to all.

**One N has one exponent, for ever.** Shares of any epoch open what was encrypted in all the others. An epoch therefore
knows who held shares in the epochs before (`Epoch.before`), and `why_new_key` says when so many of them are no members
any more that the key has to be made anew.
"""

from collections.abc import Collection, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final, NoReturn, Protocol

from ...identity.identity import SIGNATURE_BYTES, Identity, verify
from ..arithmetic import digest
from ..errors import BadEncoding, NotConfirmed
from ..group import Group, KeyShare
from ..rounds.statements import RUN_BYTES

_VERSION: Final = b"\x01"
_CONFIRMATION: Final = b"coterie/1/paillier confirmation\0"
_NOT_CONFIRMED: Final = bytes(SIGNATURE_BYTES)
_LENGTH_BYTES: Final = 4
_WITNESS: Final = object()


class KeyPlan(Protocol):
    """What a plan says of the key that comes of it: `joint.Plan` or `resharing.ResharingPlan`."""

    def lockstep_session(self) -> bytes:
        """The session of the run."""
        ...

    @property
    def holder_keys(self) -> tuple[bytes, ...]:
        """The Ed25519 keys of the holders to be, holder 0 first."""
        ...

    @property
    def needed(self) -> int:
        """How many holders have to confirm."""
        ...

    @property
    def before(self) -> tuple[tuple[bytes, ...], ...]:
        """The holders of each epoch before, of the same N."""
        ...

    def check_group(self, group: Group) -> None:
        """Raise BadGroup or WrongKey for a group that cannot have come of this plan."""
        ...


@dataclass(frozen=True, slots=True)
class Epoch:
    """A key in force. Only `read_epoch` makes one.

    members: the holders' Ed25519 keys, holder 0 first; before: the holders in earlier epochs of the same N, beginning
    with the parties that made it; session, run: of the protocol that the group came of.
    """

    group: Group
    members: tuple[bytes, ...]
    before: tuple[tuple[bytes, ...], ...]
    session: bytes
    run: bytes
    witness: InitVar[object]

    def __post_init__(self, witness: object) -> None:
        if witness is not _WITNESS:
            raise TypeError("only read_epoch makes an Epoch")

    def holder(self, member: bytes) -> int:
        """Which holder a member is. Raises NotConfirmed for a member that is none."""
        if member not in self.members:
            raise NotConfirmed("that member is no holder in this epoch")
        return self.members.index(member)


def why_new_key(epoch: Epoch, members: Collection[bytes], threshold: int) -> str | None:
    """Why the federation needs a new key rather than new shares of this one, or None where new shares will do.

    members: of the federation from now on; threshold: K from now on. Of K holders of one epoch, K - 1 that left could
    have kept their shares, and then need a single member's to decrypt all that was ever encrypted to the key.
    """
    if threshold != epoch.group.threshold:
        return f"the threshold becomes {threshold}, and the key was made for {epoch.group.threshold}"
    for holders in (*epoch.before, epoch.members):
        gone = sum(holder not in members for holder in holders)
        if gone >= threshold - 1:
            return f"{gone} holders of one epoch have left, and {threshold} shares of it decrypt"
    return None


class Pending:
    """A key that a machine has made, and that is not in force yet. Secret: never printed or pickled."""

    __slots__ = ("_share", "group", "run", "session")

    def __init__(self, session: bytes, run: bytes, group: Group, share: KeyShare | None) -> None:
        """session: of the plan; run: the name of the run; share: this party's, None if it becomes no holder."""
        self.session: Final = session
        self.run: Final = run
        self.group: Final = group
        self._share = share

    def __repr__(self) -> str:
        return f"<{type(self).__name__} key {self.group.group_id.hex()[:16]} (secret)>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a pending key holds a share and is not pickled")

    def to_bytes(self) -> bytes:
        """What the party keeps until the federation has decided: secret, for its own vault."""
        share = b"" if self._share is None else self._share.to_bytes(self.group)
        length = len(share).to_bytes(_LENGTH_BYTES, "big")
        return _VERSION + self.session + self.run + length + share + self.group.to_bytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Pending":
        """What `to_bytes` wrote. Raises BadEncoding, or what `Group.from_bytes` and `KeyShare.from_bytes` raise."""
        at = 1 + 2 * RUN_BYTES
        end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
        if data[:1] != _VERSION or len(data) < end:
            raise BadEncoding("not a pending key of a known version")
        group = Group.from_bytes(data[end:])
        kept = data[at + _LENGTH_BYTES : end]
        share = KeyShare.from_bytes(group, kept) if kept else None
        return cls(data[1 : 1 + RUN_BYTES], data[1 + RUN_BYTES : at], group, share)

    def confirm(self, identity: Identity, kept: bytes) -> bytes:
        """This party's confirmation of the key: a signature, to be published.

        kept: what the party's vault gives back after it was written durably. Raises NotConfirmed if that is not this
        key: a holder that confirms and then loses its share would leave the others with one holder fewer.
        """
        if self._share is None:
            raise NotConfirmed("only a holder confirms a key")
        if kept != self.to_bytes():
            raise NotConfirmed("the vault does not hold this key")
        return identity.sign(_confirmation(self.session, self.run, self.group))

    def share(self, epoch: Epoch) -> KeyShare:
        """This party's share, once the key is in force.

        Raises NotConfirmed if the epoch is of another run or this party is no holder in it, TypeError for what is no
        Epoch.
        """
        if type(epoch) is not Epoch:
            raise TypeError("a share is given for an Epoch and nothing else")
        if (epoch.session, epoch.run, epoch.group.group_id) != (self.session, self.run, self.group.group_id):
            raise NotConfirmed("the key that is in force is another one")
        if self._share is None:
            raise NotConfirmed("this party is no holder of the key")
        return self._share


@dataclass(frozen=True, slots=True)
class Record:
    """The public part of a new key with its holders' confirmations, for the block that puts it in force.

    Nothing is checked yet: `read_epoch` does.
    """

    run: bytes
    group: Group
    confirmations: Mapping[int, bytes] = field(repr=False)

    def to_bytes(self) -> bytes:
        """A version byte, the run, a signature for each holder (zeros if it did not confirm), then the group."""
        rows = [self.confirmations.get(holder, _NOT_CONFIRMED) for holder in range(self.group.holders)]
        return _VERSION + self.run + b"".join(rows) + self.group.to_bytes()

    @classmethod
    def from_bytes(cls, holders: int, data: bytes) -> "Record":
        """What `to_bytes` wrote for that many holders. Raises BadEncoding and what `Group.from_bytes` raises."""
        at = 1 + RUN_BYTES
        end = at + holders * SIGNATURE_BYTES
        if data[:1] != _VERSION or len(data) < end:
            raise BadEncoding("not the record of a key of a known version")
        group = Group.from_bytes(data[end:])
        if group.holders != holders:
            raise BadEncoding(f"a group of {group.holders} holders where there are {holders}")
        rows = [data[i : i + SIGNATURE_BYTES] for i in range(at, end, SIGNATURE_BYTES)]
        return cls(data[1:at], group, {holder: row for holder, row in enumerate(rows) if row != _NOT_CONFIRMED})


def is_confirmation(plan: KeyPlan, run: bytes, group: Group, holder: int, signature: bytes) -> bool:
    """Whether that holder-to-be confirmed this key of this run."""
    return verify(plan.holder_keys[holder], _confirmation(plan.lockstep_session(), run, group), signature)


def certify(plan: KeyPlan, run: bytes, group: Group, confirmations: Mapping[int, bytes]) -> Record:
    """The record of a key that enough of its holders have confirmed; false confirmations are left out.

    Raises NotConfirmed, with the holders that are missing, if there are too few.
    """
    good = {
        holder: signature
        for holder, signature in sorted(confirmations.items())
        if 0 <= holder < len(plan.holder_keys) and is_confirmation(plan, run, group, holder, signature)
    }
    if len(good) < plan.needed:
        missing = [holder for holder in range(len(plan.holder_keys)) if holder not in good]
        raise NotConfirmed(f"{plan.needed} holders have to confirm the key; {missing} did not")
    return Record(run, group, good)


def read_epoch(plan: KeyPlan, data: bytes) -> Epoch:
    """The key of a record in a block that the federation decided, checked.

    plan: what the parties agreed on, from the ledger and not from a peer. Costs up to a second for many holders: not
    for an event loop.

    Raises:
        BadEncoding: the bytes are no record.
        BadGroup, BadModulus, WrongKey: the group is none, or cannot have come of this plan.
        NotConfirmed: a confirmation is false, or there are too few.
    """
    record = Record.from_bytes(len(plan.holder_keys), data)
    plan.check_group(record.group)
    if certify(plan, record.run, record.group, record.confirmations) != record:
        raise NotConfirmed("a confirmation is not of the holder that it stands for")
    return Epoch(record.group, plan.holder_keys, tuple(plan.before), plan.lockstep_session(), record.run, _WITNESS)


def _confirmation(session: bytes, run: bytes, group: Group) -> bytes:
    return _CONFIRMATION + digest(b"confirmation", session, run, group.group_id)
