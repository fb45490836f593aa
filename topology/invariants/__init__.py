"""What must hold in every run, whatever the network, the disks and the liars do: a small checker each."""

from typing import Final

from .agreement import Agreement
from .base import Checker, Violation
from .durable import Durable
from .evidence import Evidence
from .exact_sum import ExactSum
from .liveness import Liveness
from .memory import MemoryCaps
from .release_once import ReleaseOnce
from .secrecy import Secrecy
from .sign_once import SignOnce
from .validity import Validity

__all__ = ["CHECKERS", "Checker", "Violation", "all_checkers"]

CHECKERS: Final[tuple[type[Checker], ...]] = (
    Agreement,
    Validity,
    SignOnce,
    ReleaseOnce,
    Durable,
    ExactSum,
    Evidence,
    MemoryCaps,
    Secrecy,
    Liveness,
)


def all_checkers() -> list[Checker]:
    """Return a new checker of every kind."""
    return [kind() for kind in CHECKERS]
