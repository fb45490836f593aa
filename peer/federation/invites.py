"""Making and reading invites, and the line that a newcomer pastes to join."""

import base64
import binascii
import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Final

from ...crypto.identity.identity import Identity
from ...protocol.ledger.genesis import Genesis
from ...protocol.ledger.tickets import Checkpoint, Invite, InviteError, make_invite, read_invite
from ..errors import Exit, PeerError
from ..learning.app import is_flower
from ..learning.table_models.task import TaskMismatch, read_description

DEFAULT_HOURS: Final = 24
FOUNDING_USES: Final = 100
MAX_ADDRESSES: Final = 16
MAX_USES: Final = 100_000

_DAMAGED: Final = (
    "--invite: the invite is damaged or cut off, or is of another version of Coterie; copy it whole, in quotes if it is"
    " broken into lines, or ask a member for a new one (`peer invite`)"
)

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration_ms(text: str) -> int:
    """Return the milliseconds of "90s", "30m", "24h" or "7d".

    Raises:
        ValueError: the text is not of this form, or stands for zero.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is not None and int(match[1]) == 0:
        raise ValueError(f"{text!r} is no duration in which anybody could join; 1s is the shortest")
    if match is None:
        raise ValueError(f"{text!r} is no duration: write 90s, 30m, 24h or 7d")
    return int(match[1]) * _UNITS[match[2]] * 1000


def new_invite(
    identity: Identity,
    federation: bytes,
    addresses: Sequence[str],
    expires_ms: int,
    uses: int,
    checkpoint: Checkpoint | None = None,
) -> str:
    """Return a token with which up to ``uses`` newcomers may join until ``expires_ms`` (unix time).

    They accept no ledger that lacks ``checkpoint``, the newest block of this peer's ledger; None stands for the
    genesis.
    """
    seed = secrets.token_bytes(32)
    return make_invite(identity, federation, seed, expires_ms, uses, tuple(addresses)[:MAX_ADDRESSES], checkpoint)


def open_invite(text: str, now_ms: int) -> Invite:
    """Read and check an invite. ``now_ms``: unix time; 0 accepts one that has expired.

    Raises:
        PeerError: it is damaged or has expired.
    """
    try:
        invite = read_invite(text)
    except InviteError:
        raise PeerError(_DAMAGED, Exit.INVITE) from None
    if not _is_canonical(text) or not _is_consistent(invite):
        raise PeerError(_DAMAGED, Exit.INVITE)
    if invite.terms.expires_ms <= now_ms:
        raise PeerError("--invite: it has expired; ask a member for a new one (`peer invite`)", Exit.INVITE)
    return invite


def _is_canonical(text: str) -> bool:
    """Return whether a token has the very letters that its bytes encode to; base64 can be read from others, too."""
    body = "".join(text.split()).partition("-")[2]
    try:
        data = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return False
    return base64.urlsafe_b64encode(data).decode().rstrip("=") == body


def _is_consistent(invite: Invite) -> bool:
    """Return whether the seed and the addresses, which the inviter did not sign, fit what it signed."""
    from ..network.transport.addresses import AddressError, parse_address

    if Identity.from_seed(invite.seed).public != invite.terms.key:
        return False
    try:
        members = {parse_address(address).member for address in invite.addresses}
    except AddressError:
        return False
    return members <= {None, invite.terms.inviter}


def join_command(genesis: Genesis, addresses: Sequence[str], invite: str | None) -> str:
    """Return the line that newcomers paste to join. Without an invite it names the first of ``addresses``."""
    words = ["peer", "start"]
    if invite is not None:
        words += ["--invite", invite]
    else:
        words += [word for address in addresses[:1] for word in ("--bootstrap", address)]
    trained = "--data FILE.csv"
    try:
        read_description(genesis.model)
    except TaskMismatch:
        trained = "--flower DIR" if is_flower(genesis.model) else "--app MODULE:OBJECT"
    return f"{' '.join(map(shlex.quote, words))} {trained}"
