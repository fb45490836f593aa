"""The ledger of a home as rows of JSON, a part at a time, at a bounded cost however often readers ask.

A row follows from its block and the state before it, so the states at the beginnings of all parts are kept once they
are known. One thread works at a time, and rests after each part for longer than it worked.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import trio

from ...protocol.ledger.state import LedgerState, genesis_state
from ...protocol.messages.kinds import CertifiedBlock
from ..home.store import Reader
from ..reporting.ledger_export import of_store
from ..reporting.ledger_rows import Json, genesis_row, row_after, told
from ..reporting.status import printable

PART_BLOCKS: Final = 64
"""Blocks of a part, and so the most rows of an answer, beside the genesis."""
MAX_PARTS: Final = 8
"""Full parts whose rows are kept."""
REST: Final = 3.0
"""Seconds of rest for each second of work."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of some blocks in a row; ``end`` is the state after the last one."""

    rows: tuple[bytes, ...]
    end: LedgerState


class LedgerRows:
    """The rows of one home's ledger. ``part_blocks`` is for tests."""

    def __init__(self, folder: Path, part_blocks: int = PART_BLOCKS) -> None:
        self._folder = folder
        self._part_blocks = part_blocks
        self._starts: list[LedgerState] = []
        """The state before each part, as far as it is known."""
        self._genesis = b""
        self._parts: OrderedDict[int, _Part] = OrderedDict()
        self._lock = trio.Lock()

    async def answer(self, start: int) -> bytes:
        """Return the rows from height ``start`` on, as many as one part has, as a JSON object.

        Raises:
            PeerError: the home is in no federation yet, or its store cannot be read.
            LedgerError: its ledger is damaged.
        """
        async with self._lock:
            height = await trio.to_thread.run_sync(self._height)
            number = max(start - 1, 0) // self._part_blocks
            if start <= height:
                # The state before a part comes from the part before it: begin with the last one that is known.
                for place in range(min(number, max(len(self._starts) - 1, 0)), number + 1):
                    if self._held(place) < min((place + 1) * self._part_blocks, height):
                        await self._work(self._take, place)
            part = self._parts.get(number) if start <= height else None
        skipped = max(start - 1 - number * self._part_blocks, 0)
        rows = [] if part is None else list(part.rows[skipped:])
        if start == 0:
            rows.insert(0, self._genesis)
        following = start + len(rows)
        height = max(height, following - 1)
        after = b"null" if following > height else b"%d" % following
        return b'{"from":%d,"height":%d,"next":%s,"rows":[%s]}' % (start, height, after, b",".join(rows))

    def _held(self, number: int) -> int:
        """The height up to which the rows of a part are here; -1 if none are."""
        part = self._parts.get(number)
        return -1 if part is None else number * self._part_blocks + len(part.rows)

    async def _work(self, what: Callable[[int], None], number: int) -> None:
        """Work in a thread, and rest."""
        began = time.perf_counter()
        await trio.to_thread.run_sync(what, number)
        await trio.sleep(REST * (time.perf_counter() - began))

    def _take(self, number: int) -> None:
        """Read the rows of a part before which the state is known, as far as there are blocks. Runs in a thread."""
        with Reader.open(self._folder) as reader:
            ledger = of_store(reader)
            if not self._starts:
                self._starts.append(genesis_state(ledger.genesis))
                self._genesis = _encoded(genesis_row(ledger.genesis))
            kept, first = self._parts.get(number), number * self._part_blocks + 1
            rows, state = ([*kept.rows], kept.end) if kept else ([], self._starts[number])
            lacking = self._part_blocks - len(rows)
            for stored in islice(reader.blocks(first + len(rows)), lacking):
                row, state = row_after(state, CertifiedBlock(stored.block, stored.certificate))
                rows.append(_encoded(row))
        self._parts[number] = _Part(tuple(rows), state)
        self._parts.move_to_end(number)
        while len(self._parts) > MAX_PARTS:
            self._parts.popitem(last=False)
        if len(rows) == self._part_blocks and len(self._starts) == number + 1:
            self._starts.append(state)

    def _height(self) -> int:
        with Reader.open(self._folder) as reader:
            return reader.height()


def _encoded(row: Json) -> bytes:
    return json.dumps({**row, "text": printable(told(row))}, separators=(",", ":")).encode()
