"""The blocks that were proposed at one height, as far as they are known here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..ledger.blocks import Block, block_hash, claimed_sum, read_block
from ..limits import VIEW_HISTORY, VIEW_WINDOW


@dataclass(slots=True)
class Candidate:
    """A proposed block."""

    data: bytes
    block: Block
    vector: bytes | None = field(default=None, repr=False)
    """W, if it came from the disk, or with a proposal whose view had not come yet."""


@dataclass(slots=True)
class Candidates:
    """The proposed blocks of one height, by block hash and by view."""

    _known: dict[bytes, Candidate] = field(default_factory=dict)
    _proposed: dict[int, bytes] = field(default_factory=dict)
    """By view, the block hash of its first proposal, the only one that counts."""

    def __getitem__(self, digest: bytes) -> Candidate:
        return self._known[digest]

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._known

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def get(self, digest: bytes | None) -> Candidate | None:
        """Return the candidate with a block hash; None if it is not known, and for nil."""
        return None if digest is None else self._known.get(digest)

    def claim(self, digest: bytes | None) -> bytes | None:
        """Return the digest of the W that a block is about; None if it is about no sum, or not known."""
        known = self.get(digest)
        return None if known is None else claimed_sum(known.block.body)

    def add(self, data: bytes, block: Block) -> None:
        """Take a block that was proposed."""
        self._known.setdefault(block_hash(data), Candidate(data, block))

    def restore(self, data: bytes, vector: bytes | None) -> bytes:
        """Take a block from the disk, with its W if that record has it; return its hash."""
        digest = block_hash(data)
        known = self._known.setdefault(digest, Candidate(data, read_block(data)))
        known.vector = known.vector or vector  # only one of the two records has W
        return digest

    def first(self, view: int, digest: bytes) -> bytes:
        """Return the hash of the first proposal of a view; it is this one if none came before."""
        return self._proposed.setdefault(view, digest)

    def in_view(self, view: int) -> bytes | None:
        """Return the hash of the first proposal of a view."""
        return self._proposed.get(view)

    def views_of(self, digest: bytes) -> Iterator[int]:
        """Yield the views in which a block was proposed first, in order."""
        return (view for view, one in sorted(self._proposed.items()) if one == digest)

    def before(self, view: int) -> Iterator[tuple[int, bytes, Candidate]]:
        """Yield the known first proposals of the views before this one: view, hash and candidate."""
        for one, digest in self._proposed.items():
            if one < view and digest in self._known:
                yield one, digest, self._known[digest]

    def forget_old(self, view: int, held: Iterable[bytes]) -> tuple[list[int], list[bytes]]:
        """Drop the proposals of views that are no longer kept, except those ``held``; return the views and hashes."""
        old = [one for one in self._proposed if one <= view - VIEW_HISTORY]
        for one in old:
            del self._proposed[one]
        dropped = list(self._known.keys() - set(held) - set(self._proposed.values()))
        for digest in dropped:
            del self._known[digest]
        return old, dropped

    def drop_vectors(self) -> None:
        """Drop each W, once the height is decided."""
        for known in self._known.values():
            known.vector = None


def is_kept(proposed: int, view: int) -> bool:
    """Whether a proposal for the view ``proposed`` is kept while ``view`` is the current one."""
    return view - VIEW_HISTORY < proposed <= view + VIEW_WINDOW
