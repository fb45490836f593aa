"""The rules that must hold in every run, whatever the network, the disks and the liars do: a small checker for each."""

from typing import Final

from .accountability import Accountability
from .agreement import Agreement
from .barred import Barred
from .base import Checker, Violation
from .blame import Blame
from .counted import Counted
from .durable import Durable
from .evidence import Evidence
from .exact_sum import ExactSum
from .influence import Influence
from .liveness import Liveness
from .memory import MemoryCaps
from .named import Named
from .progress import Progress
from .release_once import ReleaseOnce
from .secrecy import Secrecy
from .sign_once import SignOnce
from .validity import Validity

__all__ = ["CHECKERS", "Checker", "Violation"]

CHECKERS: Final[tuple[type[Checker], ...]] = (
    Accountability,  # first: broken agreement is the graver finding where the evidence convicts too few
    Agreement,
    Validity,
    SignOnce,
    ReleaseOnce,
    Durable,
    ExactSum,
    Influence,
    Evidence,
    MemoryCaps,
    Secrecy,
    Counted,
    Blame,
    Named,
    Barred,
    Progress,
    Liveness,
)
