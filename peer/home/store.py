"""The records that a peer must not forget, in one SQLite file.

:meth:`Store.persist` makes the records of one or more steps durable in one transaction; :meth:`Store.load` gives all of
them back after a restart. Records that can no longer matter are dropped on the way: votes and values of decided
heights, all models but the newest and the best (:mod:`..learning.best_round`), and the vectors of closed rounds, which
are sealed under a key that is erased (:mod:`.round_seal`).

The store is also the last guard of three safety rules. It refuses a second, different contributor set for a round
(rule 1), a second, different vote for a (height, view, kind) (rule 3), and a second, different dealing for a round
(rule 6).
"""

import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self

import msgspec

from ...protocol.ledger.genesis import read_genesis
from ...protocol.messages.encoding import digest_of
from ...protocol.records import (
    BallotCast,
    BlockDecided,
    Dealt,
    LostStateFound,
    Memory,
    ModelSaved,
    Record,
    Released,
    RoundClosed,
    ShareHeld,
    ShownToUs,
    ValueSeen,
    VoteCast,
)
from ..learning.best_round import loss_told
from ..learning.metrics import Measured
from .copy_guard import CopyGuard
from .facts import GENESIS
from .folder import STORE_FILE
from .round_seal import KEY_BYTES, Damaged, RoundSeal
from .sqlite import (
    BUSY_TIMEOUT_MS,
    StoreError,
    damaged,
    explained,
    has_measured,
    models_table,
    open_reader,
    open_writer,
)

FILE_NAME: Final = STORE_FILE
_ORIGIN: Final = "origin"
_COPIED: Final = "copied"
_SHOWN: Final = "shown"
_BEST: Final = "best"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
_decode_best = msgspec.msgpack.Decoder(tuple[bytes, float]).decode
_decode_metrics = msgspec.msgpack.Decoder(dict[str, float]).decode
_decode_shown = msgspec.msgpack.Decoder(tuple[int, tuple[bytes, ...]]).decode


class Contradiction(RuntimeError):
    """A record that contradicts an earlier one: a bug in the protocol, stopped before it could do harm."""


class Reader:
    """Reads a store, also while its peer runs."""

    def __init__(self, path: Path, link: sqlite3.Connection) -> None:
        self.path = path
        self._link = link

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open the store of a home for reading.

        Raises:
            StoreError: there is none, or it cannot be read.
        """
        path = folder / FILE_NAME
        return cls(path, open_reader(path))

    def fact(self, name: str) -> bytes | None:
        """Return a named value that was kept with :meth:`Store.keep`; None if there is none."""
        with explained(self.path):
            row = self._link.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def height(self) -> int:
        """Return the height of the newest decided block, 0 if there is none."""
        with explained(self.path):
            return int(self._link.execute("SELECT coalesce(max(height), 0) FROM blocks").fetchone()[0])

    def blocks(self, start: int = 0) -> Iterator[BlockDecided]:
        """Yield the decided blocks from height ``start`` on, in short reads that do not hold up the writer."""
        while True:
            with explained(self.path):
                rows = self._link.execute(
                    "SELECT height, block, certificate FROM blocks WHERE height >= ? ORDER BY height LIMIT 256",
                    (start,),
                ).fetchall()
            if not rows:
                return
            for height, block, certificate in rows:
                yield BlockDecided(height, block, self._list(certificate))
            start = rows[-1][0] + 1

    def model(self) -> ModelSaved | None:
        """Return the newest model; None if there is none, or if its weights do not have its hash."""
        with explained(self.path):
            table = models_table(self._link)
            row = self._link.execute(f"SELECT hash, weights FROM {table} ORDER BY rowid DESC LIMIT 1").fetchone()
        return _whole(row)

    def has_damaged_model(self) -> bool:
        """Return whether there is a newest model whose weights do not have its hash."""
        with explained(self.path):
            stored = self._link.execute(f"SELECT count(*) FROM {models_table(self._link)}").fetchone()[0]
        return bool(stored) and self.model() is None

    def best_model(self) -> ModelSaved | None:
        """Return the best model that this peer ever had; None if no loss is known, or the weights are damaged.

        It need not be the best one of the ledger: a peer lacks the models of rounds in which it was away.
        """
        best = self._best()
        if best is None:
            return None
        with explained(self.path):
            row = self._link.execute("SELECT hash, weights FROM models WHERE hash = ?", best[:1]).fetchone()
        return _whole(row)

    def _best(self) -> tuple[bytes, float] | None:
        """Return hash and loss of the best model that is kept; None if there is none."""
        kept = self.fact(_BEST)
        try:
            return None if kept is None else _decode_best(kept)
        except msgspec.MsgspecError as error:
            raise StoreError(damaged(self.path, f"the loss of the best model: {error}")) from None

    def models(self) -> tuple[int, ModelSaved | None, ModelSaved | None]:
        """Return the height of the ledger, the newest model and the best one that is kept, all of one moment."""
        with explained(self.path):
            self._link.execute("BEGIN")
            try:
                return self.height(), self.model(), self.best_model()
            finally:
                self._link.execute("ROLLBACK")

    def measured(self, start: int = 0) -> dict[int, Measured]:
        """Return the figures over this site's own test rows of the model with which each round began, by round.

        They begin with round ``start``. Rounds in which this peer was away are missing.

        Raises:
            StoreError: the figures are damaged.
        """
        with explained(self.path):
            if not has_measured(self._link):
                return {}
            found = "SELECT round, rows, loss, metrics FROM measured WHERE round >= ? ORDER BY round"
            rows = self._link.execute(found, (start,)).fetchall()
        try:
            return {round: Measured(count, loss, _decode_metrics(metrics)) for round, count, loss, metrics in rows}
        except msgspec.MsgspecError as error:
            raise StoreError(damaged(self.path, f"what was measured here: {error}")) from None

    def seen(self, height: int) -> list[bytes]:
        """Return the blocks for which this peer has seen a quorum's prevotes at ``height``."""
        with explained(self.path):
            return [row[0] for row in self._link.execute("SELECT block FROM seen WHERE height = ?", (height,))]

    def close(self) -> None:
        """Close the file."""
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _list(self, data: bytes) -> tuple[bytes, ...]:
        try:
            return _decode(data)
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self.path}: a list in the store is damaged ({error}); run `peer ledger verify`"
            ) from None


class Store(Reader):
    """The store of a running peer. Its methods may be called from any thread, one at a time."""

    def __init__(self, path: Path, link: sqlite3.Connection) -> None:
        super().__init__(path, link)
        self._lock = threading.Lock()
        self._vaults: dict[int, RoundSeal] = {}
        self._lineage = CopyGuard(path.parent)
        self._erase = False
        with explained(path):
            self._serial = self._newest_serial()
            self.copied = self._judge_lineage()

    @classmethod
    def open(cls, folder: Path, max_bytes: int | None = None) -> Self:
        """Open or create the store of a home whose lock the caller holds.

        ``max_bytes`` makes the store fail as on a full disk once the file would grow beyond it.

        Raises:
            StoreError: it cannot be read or written.
        """
        path = folder / FILE_NAME
        return cls(path, open_writer(path, max_bytes))

    def persist(self, records: Sequence[Record]) -> None:
        """Make the records durable, all or none; returns when they are.

        Raises:
            StoreError: the disk is full or fails; nothing of this call was stored.
            Contradiction: a record contradicts an earlier one, such as a second, different vote.
        """
        with self._transaction() as link:
            for record in records:
                self._write(link, record)
        self._lineage.advance(self._serial)

    def keep(self, name: str, value: bytes) -> None:
        """Keep a named value, durably, in place of an earlier one.

        Raises:
            StoreError: as :meth:`persist`.
        """
        with self._transaction() as link:
            link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def keep_measured(self, round: int, measured: Measured) -> None:
        """Keep the figures over this site's own test rows of the model with which a round began.

        Raises:
            StoreError: as :meth:`persist`.
        """
        values = (round, measured.rows, measured.loss, _encode(dict(measured.metrics)))
        with self._transaction() as link:
            link.execute("INSERT OR REPLACE INTO measured VALUES (?, ?, ?, ?)", values)

    def load(self) -> Memory:
        """Return everything that was made durable.

        Raises:
            StoreError: the store is damaged.
        """
        memory = Memory(blocks=list(self.blocks()), model=self.model(), copied=self.copied, shown=self._shown())
        with self._lock, explained(self.path):
            execute = self._link.execute
            votes = execute("SELECT height, view, kind, envelope FROM votes ORDER BY serial")
            memory.votes = [VoteCast(*row) for row in votes]
            memory.values = [
                ValueSeen(height, view, bool(locked), block, vector, self._list(polka))
                for height, view, locked, block, vector, polka in execute(
                    "SELECT seen.height, view, locked, seen.block, data, polka FROM seen"
                    " LEFT JOIN vectors ON vectors.id = seen.vector ORDER BY seen.height, view, locked"
                )
            ]
            ballots = execute("SELECT proposal, proposed, envelope FROM ballots ORDER BY serial")
            memory.ballots = [BallotCast(*row) for row in ballots]
            memory.released = dict(execute("SELECT round, contributors FROM released ORDER BY round").fetchall())
            try:
                self._load_secrets(memory)
            except Damaged as error:
                raise StoreError(f"{self.path}: {error}; the file is damaged. Join again with a new --home") from None
        return memory

    def _shown(self) -> ShownToUs | None:
        kept = self.fact(_SHOWN)
        try:
            return None if kept is None else ShownToUs(*_decode_shown(kept))
        except msgspec.MsgspecError as error:
            raise StoreError(
                f"{self.path}: what others showed is damaged: {error}. Join again with a new --home"
            ) from None

    def tidy(self) -> None:
        """Empty the write-ahead log after a round was closed, so that no erased key stays behind in it."""
        if not self._erase:
            return
        with self._lock, explained(self.path):
            # Never wait for a reader here: the next round tries again.
            self._link.execute("PRAGMA busy_timeout=0")
            busy = self._link.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            self._link.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            self._erase = bool(busy)

    def close(self) -> None:
        """Close the file; SQLite folds its log into it."""
        with self._lock:
            self._lineage.close()
            super().close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, explained(self.path):
            serial = self._serial
            self._link.execute("BEGIN IMMEDIATE")
            try:
                yield self._link
                self._link.execute("COMMIT")
            except BaseException:
                self._serial = serial
                self._vaults.clear()
                if self._link.in_transaction:
                    self._link.execute("ROLLBACK")
                raise

    def _write(self, link: sqlite3.Connection, record: Record) -> None:
        match record:
            case BlockDecided(height, block, certificate):
                votes = _encode(certificate)
                if self._insert_once("blocks", {"height": height}, {"block": block}, certificate=votes):
                    for table in ("votes", "seen", "vectors"):
                        link.execute(f"DELETE FROM {table} WHERE height <= ?", (height,))
                    self._look_for_the_best(link, height, block)
            case ModelSaved(weights_hash, weights):
                link.execute("INSERT OR REPLACE INTO models (hash, weights) VALUES (?, ?)", (weights_hash, weights))
                self._drop_models(link)
            case VoteCast(height, view, kind, envelope):
                key = {"height": height, "view": view, "kind": kind}
                self._insert_once("votes", key, {"envelope": envelope})
            case ValueSeen():
                self._write_value(link, record)
            case Released(number, contributors):
                self._insert_once("released", {"round": number}, {"contributors": contributors})
            case Dealt():
                self._write_dealing(link, record)
                if self.copied:
                    # The node deals again, so it is past every vote and dealing that the copied state may lack.
                    link.execute("DELETE FROM facts WHERE name = ?", (_COPIED,))
            case ShareHeld(number, dealer, deal, values):
                sealed = self._vault(link, number).seal(dealer, values)
                link.execute(
                    "INSERT OR REPLACE INTO shares (round, dealer, deal, sealed) VALUES (?, ?, ?, ?)",
                    (number, dealer, deal, sealed),
                )
            case BallotCast(proposal, proposed, envelope):
                self._insert_once("ballots", {"proposal": proposal}, {"envelope": envelope}, proposed=proposed)
            case RoundClosed(number):
                for table in ("round_keys", "dealt", "shares"):
                    link.execute(f"DELETE FROM {table} WHERE round <= ?", (number,))
                self._vaults = {round: vault for round, vault in self._vaults.items() if round > number}
                link.execute("DELETE FROM facts WHERE name = ?", (_SHOWN,))
                self._erase = True
            case LostStateFound():
                self.copied = True
                link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_COPIED, b"1"))
            case ShownToUs(number, envelopes):
                kept = _encode((number, envelopes))
                link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_SHOWN, kept))

    def _look_for_the_best(self, link: sqlite3.Connection, height: int, block: bytes) -> None:
        """Keep the model whose loss this block states as the best one, if it is better than the one kept so far."""
        genesis, best = self.fact(GENESIS), self._best()
        if genesis is None:
            return
        rows = link.execute("SELECT block FROM blocks WHERE height < ? ORDER BY height DESC", (height,))
        told = loss_told(read_genesis(genesis), block, (row[0] for row in rows))
        if told is None or (best is not None and best[1] <= told[1]):
            return
        if link.execute("SELECT count(*) FROM models WHERE hash = ?", told[:1]).fetchone()[0]:
            link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_BEST, _encode(told)))
            self._drop_models(link)

    def _drop_models(self, link: sqlite3.Connection) -> None:
        """Forget all models but the newest and the best."""
        best = self._best()
        link.execute(
            "DELETE FROM models WHERE id < (SELECT max(id) FROM models) AND hash IS NOT ?", (best and best[0],)
        )

    def _insert_once(self, table: str, key: Mapping[str, int | bytes], bound: dict[str, bytes], **free: bytes) -> bool:
        """Insert a row with the next serial number; return False if it is there already.

        Raises:
            Contradiction: there is one with this key and another value of ``bound``.
        """
        where = " AND ".join(f"{name} = :{name}" for name in key)
        (value,) = bound
        row = self._link.execute(f"SELECT {value} FROM {table} WHERE {where}", key).fetchone()
        if row is None:
            self._serial += 1
            values = {"serial": self._serial, **key, **bound, **free}
            names, places = ", ".join(values), ", ".join(f":{name}" for name in values)
            self._link.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", values)
        elif row[0] != bound[value]:
            raise Contradiction(f"a second, different {value} for {key} was to be stored")
        return row is None

    def _write_dealing(self, link: sqlite3.Connection, dealt: Dealt) -> None:
        """Store a dealing; refuse a second, different one for its round (safety rule 6)."""
        number, vault = dealt.round, self._vault(link, dealt.round)
        seeded = msgspec.json.encode(dealt.seeded)
        row = link.execute("SELECT seed, vector, seeded FROM dealt WHERE round = ?", (number,)).fetchone()
        if row is None:
            sealed = (vault.seal(b"seed", dealt.seed), vault.seal(b"vector", dealt.vector))
            link.execute("INSERT INTO dealt VALUES (?, ?, ?, ?)", (number, *sealed, seeded))
        elif (vault.open(b"seed", row[0]), vault.open(b"vector", row[1]), row[2]) != (dealt.seed, dealt.vector, seeded):
            raise Contradiction(f"a second, different dealing for round {number} was to be stored")

    def _write_value(self, link: sqlite3.Connection, record: ValueSeen) -> None:
        """Store a locked or a valid value. Both are mostly the same block, so its vector is stored once."""
        vector = None
        if record.vector is not None:
            key = (record.height, record.block)
            row = link.execute("SELECT id FROM vectors WHERE (height, block) = (?, ?)", key).fetchone()
            if row is None:
                insert = "INSERT INTO vectors (height, block, data) VALUES (?, ?, ?)"
                vector = link.execute(insert, (*key, record.vector)).lastrowid
            else:
                vector = row[0]
        link.execute(
            "INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?)",
            (record.height, record.locked, record.view, record.block, _encode(record.polka), vector),
        )
        link.execute(
            "DELETE FROM vectors WHERE height = ? AND id NOT IN (SELECT vector FROM seen WHERE vector IS NOT NULL)",
            (record.height,),
        )

    def _vault(self, link: sqlite3.Connection, number: int) -> RoundSeal:
        if number not in self._vaults:
            row = link.execute("SELECT key FROM round_keys WHERE round = ?", (number,)).fetchone()
            key = secrets.token_bytes(KEY_BYTES) if row is None else row[0]
            if row is None:
                link.execute("INSERT INTO round_keys VALUES (?, ?)", (number, key))
            self._vaults[number] = RoundSeal(key)
        return self._vaults[number]

    def _load_secrets(self, memory: Memory) -> None:
        keys = dict(self._link.execute("SELECT round, key FROM round_keys").fetchall())
        vaults = {number: RoundSeal(key) for number, key in keys.items()}
        dealt = self._link.execute(
            "SELECT round, seed, vector, seeded FROM dealt ORDER BY round DESC LIMIT 1"
        ).fetchone()
        shares = self._link.execute("SELECT round, dealer, deal, sealed FROM shares ORDER BY id").fetchall()
        if missing := {row[0] for row in (*shares, *([dealt] if dealt else []))} - set(vaults):
            raise Damaged(f"the keys of the rounds {sorted(missing)} are missing")
        if dealt is not None:
            number, seed, vector, seeded = dealt
            vault = vaults[number]
            opened = vault.open(b"seed", seed), vault.open(b"vector", vector)
            memory.dealt = Dealt(number, *opened, tuple(msgspec.json.decode(seeded)))
        memory.shares = [
            ShareHeld(number, dealer, deal, vaults[number].open(dealer, sealed))
            for number, dealer, deal, sealed in shares
        ]

    def _newest_serial(self) -> int:
        row = self._link.execute(
            "SELECT coalesce(max(serial), 0) FROM (SELECT serial FROM blocks UNION ALL"
            " SELECT serial FROM votes UNION ALL SELECT serial FROM released UNION ALL SELECT serial FROM ballots)"
        ).fetchone()
        return int(row[0])

    def _judge_lineage(self) -> bool:
        remembered = self.fact(_ORIGIN)
        if remembered is None:
            self.keep(_ORIGIN, self._lineage.found(self._serial))
        elif self._lineage.doubt(remembered, self._serial) is not None:
            with self._transaction() as link:
                # The doubt outlasts further restarts. It ends when this peer deals again, and not when it votes again:
                # then it still sits out a round.
                link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_COPIED, b"1"))
                link.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_ORIGIN, self._lineage.found(self._serial)))
        return self.fact(_COPIED) is not None


def _whole(row: tuple[bytes, bytes] | None) -> ModelSaved | None:
    """Return a stored model, if its weights have its hash."""
    return None if row is None or digest_of(row[1]) != row[0] else ModelSaved(*row)
