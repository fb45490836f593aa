"""Exit codes, in one place: scripts rely on them, so a number never changes its meaning."""

import shlex
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class Exit(IntEnum):
    """How a `peer` command ended."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    CRASH = 3
    HOME = 4
    KEY = 5
    STORE = 6
    PORT = 7
    DATA = 8
    MODEL = 9
    INVITE = 10
    UNREACHABLE = 11
    NOT_RUNNING = 12
    FEDERATION = 13
    REMOVED = 14
    CONSENT = 15

    @property
    def meaning(self) -> str:
        """What the code means, in one line."""
        return _MEANINGS[self]


_MEANINGS = {
    Exit.OK: "done; a peer that was asked to stop (Ctrl-C, SIGTERM, peer stop) ends with this too",
    Exit.CHECK_FAILED: "a check failed in `ledger verify` or `doctor`, or an exported ledger cannot be read; `simulate`"
    " did not finish or broke an invariant",
    Exit.USAGE: "wrong or contradictory options",
    Exit.CRASH: "a bug of ours; a crash report lies in the home",
    Exit.HOME: "the home is in use by another peer, or cannot be used",
    Exit.KEY: "the identity key cannot be read, or the passphrase is wrong",
    Exit.STORE: "the store is damaged, was written by a newer version, or its disk is full (nothing that was sent is"
    " lost); or a command cannot write its output",
    Exit.PORT: "a listen address is in use, or does not belong to this machine",
    Exit.DATA: "the data or the app cannot be used",
    Exit.MODEL: "the model differs from the federation's",
    Exit.INVITE: "the invite is wrong, expired or used up, or admission was refused",
    Exit.UNREACHABLE: "no member could be reached within --join-timeout",
    Exit.NOT_RUNNING: "no peer runs in this home",
    Exit.FEDERATION: "the home belongs to another federation, or to none yet",
    Exit.REMOVED: "this peer left the federation or was evicted from it",
    Exit.CONSENT: "the federation hides less than the default, and this operator has not accepted that (--allow-plain,"
    " --allow-threshold)",
}


def no_federation(folder: "Path", what: str = "this peer is in no federation yet") -> str:
    """Say that a home belongs to no federation, and what to do."""
    start = shlex.quote(str(folder))
    return f"{folder}: {what}; found or join one with `peer start --home {start} …`, or give another --home"


class PeerError(Exception):
    """A problem that the user has to solve. Printed as `peer: error: …`; the command ends with ``code``.

    The message says what is wrong, where, and what to do.
    """

    code = Exit.USAGE
    option = ""
    """The option that alone solves the problem, if it is added to the command; empty if there is none."""

    def __init__(self, message: str, code: Exit | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
