"""Prepares what rounds need before the first one begins: kernels, compiled once on a machine and then loaded.

Compiling takes five seconds of a whole core, and a minute if several peers share it. A member that does it in its first
round misses that round, so it is done before a peer takes part. Peers that start at the same time on one machine
compile once: one does it, the others wait. Compiled kernels are loaded from their cache when they are first called,
which takes a second. That is done while a peer still waits for the others.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

import trio

from ...crypto import kernels, proof
from ...crypto.identity.identity import Identity
from ...crypto.kernels.compiling import private_folder, watched
from ...protocol.jobs import CheckVector, Contribution, Encode, SumShares
from ...protocol.ledger.committee import Committee
from ...protocol.ledger.contribution import Layout, Proved
from ...protocol.messages.encoding import digest_of
from ...protocol.schemes.base import Choice, Terms
from ...protocol.schemes.shamir import ShamirScheme
from ..reporting.status import Json

KERNELS: Final = 10
"""Number of kernels that a round needs: all of `crypto.kernels.vectors` and `crypto.proof.kernels`."""

_MEMBERS: Final = 4
_PARAMETERS: Final = 4


Tell = Callable[[str, str, Json], None]
"""Reports an event: gets its kind, its text and its facts."""


async def compile_once(tell_people: Tell) -> None:
    """Compile the kernels if this machine has none yet, and say so. Never fails: the round itself tells any error."""
    if await trio.to_thread.run_sync(_are_compiled):
        return
    done = 0

    def tell(text: str) -> None:
        trio.from_thread.run_sync(tell_people, "compiling", text, {"done": done, "of": KERNELS})

    def on_kernel(_name: str, is_new: bool) -> None:
        nonlocal done
        done += 1
        if is_new:
            tell(f"compiling the arithmetic, once on this machine: {done} of {KERNELS}")

    def work() -> None:
        with (
            contextlib.suppress(Exception),
            _turn(lambda: tell("waiting for another peer on this machine, which prepares the arithmetic")),
        ):
            _compile(on_kernel)

    run: Any = trio.to_thread.run_sync  # the type stubs that come with libp2p describe an older trio
    await run(work, abandon_on_cancel=True)


def _compile(on_kernel: Callable[[str, bool], None]) -> None:
    with watched(on_kernel):
        from ...crypto.kernels import vectors
        from ...crypto.proof import kernels as proving
    loaded: list[Any] = [vectors.matmul, proving.project]
    _stamp().write_text("\n".join(str(one.stats.cache_path) for one in loaded))


def _are_compiled() -> bool:
    """Return whether the kernels were compiled here and are still there. A wrong answer costs time only."""
    with contextlib.suppress(OSError):
        folders = zip(_stamp().read_text().splitlines(), ("vectors", "kernels"), strict=True)
        return sum(len(list(Path(folder).glob(f"{name}.*.nbi"))) for folder, name in folders) >= KERNELS
    return False


def _stamp() -> Path:
    """Return the path of a file that is there once the kernels of this version were compiled for this processor.

    Raises:
        OSError: the sources or the folder cannot be read.
    """
    sources = [Path(kernels.__file__).with_name(name) for name in ("vectors.py", "words.py")]
    sources.append(Path(proof.__file__).with_name("kernels.py"))
    known = [sys.version, importlib.metadata.version("numba"), importlib.metadata.version("numpy"), _processor()]
    known += [f"{source} {source.stat().st_mtime_ns}" for source in sources]
    return private_folder() / f"compiled-{hashlib.sha256(repr(known).encode()).hexdigest()[:32]}"


def _processor() -> str:
    with contextlib.suppress(OSError):
        told = Path("/proc/cpuinfo").read_text()
        return "\n".join(sorted({line for line in told.splitlines() if line.startswith(("model name", "flags"))}))
    return ""


@contextlib.contextmanager
def _turn(on_wait: Callable[[], None]) -> Iterator[None]:
    """Be the only process on this machine that compiles. Processes that had to wait then go on together."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            lock = stack.enter_context(open(private_folder() / "compiling", "w"))
            if not _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                on_wait()
                _locked(lock, fcntl.LOCK_SH)
        yield


def _locked(lock: IO[str], how: int) -> bool:
    try:
        fcntl.flock(lock, how)
    except OSError:
        return False
    return True


def warm_up() -> None:
    """Run every job of a round once, on a vector of a few numbers. Never fails: the round itself tells any error."""
    with contextlib.suppress(Exception):
        for proved in (None, Proved(1)):
            _run_round(proved)


def _run_round(proved: Proved | None = None) -> None:
    import numpy as np

    identities = sorted((Identity.from_seed(bytes([one]) * 32) for one in range(_MEMBERS)), key=lambda one: one.public)
    committee = Committee(tuple(one.public for one in identities))
    scheme, layout = ShamirScheme(committee), Layout(_PARAMETERS, 2, proved=proved)
    terms = Terms(bytes(32), 1, bytes(32), committee.members, layout)
    given = Contribution(1, (), bytes(32), np.zeros(_PARAMETERS, np.float32))
    encoded = Encode(1, layout, given, 1.0, _MEMBERS, 1).run()
    dealt = [
        scheme.deal(terms, one, encoded.vector, encoded.seed, scheme.seeded(place, frozenset())).run()
        for place, one in enumerate(identities)
    ]
    rows: dict[int, bytes] = {}
    for holder, identity in enumerate(identities):
        shares = [
            one.own
            if dealer == holder
            else scheme.check(terms, identity, dealer, one.deal, one.blobs[holder]).run().values or b""
            for dealer, one in enumerate(dealt)
        ]
        rows[holder] = SumShares(1, bytes(32), tuple(shares)).run()[0]
    choice = Choice(tuple((dealer, bytes(32)) for dealer in range(_MEMBERS)), tuple(range(_MEMBERS)))
    opened = scheme.open(terms, choice, rows).run()
    assert opened is not None
    digest = digest_of(opened.vector)
    base = bytes(4 * _PARAMETERS)
    CheckVector(1, digest, opened.vector, layout, _MEMBERS, bytes(32), 1.0, _MEMBERS, 1, base, rows[0]).run()
