"""The SQLite file underneath the store: how it is opened, what its tables are, and what its errors mean.

It uses a write-ahead log with ``synchronous=FULL``: a commit costs one fsync, and readers never block it. Medians for
all that one member writes in a round, against a rollback journal (TRUNCATE): with 1,000 parameters 4 ms against 12 ms,
with 1e5 9 ms against 14 ms, with 1e6 50 ms against 36 ms. Pages have 32 KiB, because with the default of 4 KiB the
large vectors cost twice as much.
"""

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ..errors import Exit, PeerError, no_federation
from ..system.full_disk import has_no_room
from .copy_guard import newest_serial

APPLICATION_ID: Final = 0x434F5452
VERSION: Final = 2
PAGE_BYTES: Final = 32 * 1024
BUSY_TIMEOUT_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 2048
UPGRADING: Final = (
    "Go on with the Coterie that made it, on all members, or found a new federation with the same members, each with a"
    " new --home (see `Upgrading` in docs/guide.md)"
)
"""Advice for a home of an older version."""

_SCHEMA: Final = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE blocks (
    height INTEGER PRIMARY KEY, serial INTEGER NOT NULL, block BLOB NOT NULL, certificate BLOB NOT NULL
) STRICT;
CREATE TABLE votes (
    serial INTEGER PRIMARY KEY, height INTEGER NOT NULL, view INTEGER NOT NULL, kind INTEGER NOT NULL,
    envelope BLOB NOT NULL, UNIQUE (height, view, kind)
) STRICT;
CREATE TABLE seen (
    height INTEGER NOT NULL, locked INTEGER NOT NULL, view INTEGER NOT NULL, block BLOB NOT NULL,
    polka BLOB NOT NULL, vector INTEGER, PRIMARY KEY (height, locked)
) STRICT;
CREATE TABLE vectors (id INTEGER PRIMARY KEY, height INTEGER NOT NULL, block BLOB NOT NULL, data BLOB NOT NULL) STRICT;
CREATE TABLE round_keys (round INTEGER PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE dealt (
    round INTEGER PRIMARY KEY, seed BLOB NOT NULL, vector BLOB NOT NULL, seeded BLOB NOT NULL
) STRICT;
CREATE TABLE shares (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL, dealer BLOB NOT NULL, deal BLOB NOT NULL, sealed BLOB NOT NULL,
    UNIQUE (round, dealer)
) STRICT;
CREATE TABLE released (round INTEGER PRIMARY KEY, serial INTEGER NOT NULL, contributors BLOB NOT NULL) STRICT;
"""

_MODELS: Final = """
CREATE TABLE models (id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, weights BLOB NOT NULL) STRICT;
"""
"""The newest model has the highest id. The best one, if it is another, keeps its row. Copying it to a place of its own
in each round that is better than all before would take longer than everything else that the round writes.
"""

_MEASURED: Final = "measured"
_OWN: Final = f"""
CREATE TABLE IF NOT EXISTS {_MEASURED} (
    round INTEGER PRIMARY KEY, rows INTEGER NOT NULL, loss REAL NOT NULL, metrics BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS ballots (
    serial INTEGER PRIMARY KEY, proposal BLOB NOT NULL UNIQUE, proposed BLOB NOT NULL, envelope BLOB NOT NULL
) STRICT;
"""
"""Loss and metrics of the model with which each round began, over this site's own test rows; and the votes of this peer
on proposed options. A home of an older version gets these tables at its next start.
"""

_ONE_MODEL: Final = "model"
"""The table that older homes have instead; it holds the newest model alone."""


class StoreError(PeerError):
    """The store cannot be read or written; the message names the file, the reason and what to do."""

    code = Exit.STORE


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into :class:`StoreError`."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_explain(path, error)) from None


def open_writer(path: Path, max_bytes: int | None = None) -> sqlite3.Connection:
    """Open or create the file for its one writer, the peer that holds the home's lock.

    ``max_bytes`` bounds the file: beyond it every write fails as on a full disk.

    Raises:
        StoreError: the file is damaged, of another version or program, or not writable.
    """
    _refuse_links(path)
    _refuse_lost(path)
    with explained(path):
        link = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
        try:
            link.execute(f"PRAGMA page_size={PAGE_BYTES}")
            _check_kind(path, link)
            link.execute("PRAGMA journal_mode=WAL")
            link.execute("PRAGMA synchronous=FULL")
            # Deleted rows are overwritten in their page. Freed pages are not: secrets are ciphertext there (vault.py).
            link.execute("PRAGMA secure_delete=FAST")
            link.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            if max_bytes is not None:
                link.execute(f"PRAGMA max_page_count={max(1, max_bytes // PAGE_BYTES)}")
            damage = link.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                raise StoreError(damaged(path, damage))
            if link.execute("PRAGMA user_version").fetchone()[0] == 0:
                link.executescript(
                    f"BEGIN IMMEDIATE; {_SCHEMA} {_MODELS} PRAGMA application_id={APPLICATION_ID};"
                    f" PRAGMA user_version={VERSION}; COMMIT;"
                )
            if models_table(link) == _ONE_MODEL:
                link.executescript(
                    f"BEGIN IMMEDIATE; {_MODELS} INSERT INTO models SELECT one, hash, weights FROM {_ONE_MODEL};"
                    f" DROP TABLE {_ONE_MODEL}; COMMIT;"
                )
            link.executescript(_OWN)
        except BaseException:
            link.close()
            raise
        return link


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the file to look at it, also while its peer writes.

    Raises:
        StoreError: the file is missing, damaged, or of another version or program.
    """
    _refuse_lost(path)
    if not path.exists():
        raise StoreError(
            no_federation(path.parent, "there is no store, so this peer is in no federation yet"), Exit.FEDERATION
        )
    _refuse_links(path)
    with explained(path):
        # Not mode=ro: after a kill the log has to be recovered, which writes.
        link = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
        try:
            link.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
            link.execute("PRAGMA query_only=ON")
            if _check_kind(path, link) == 0:
                raise StoreError(no_federation(path.parent), Exit.FEDERATION)
        except BaseException:
            link.close()
            raise
        return link


def models_table(link: sqlite3.Connection) -> str:
    """Return the name of the table of models; an older home keeps the old one until its next start."""
    return _ONE_MODEL if _ONE_MODEL in _tables(link) else "models"


def has_measured(link: sqlite3.Connection) -> bool:
    """Return whether there is a table of this site's own figures; an older home gets it at its next start."""
    return _MEASURED in _tables(link)


def _tables(link: sqlite3.Connection) -> set[str]:
    return {row[0] for row in link.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


def _refuse_lost(path: Path) -> None:
    """Refuse a home that has signed something and lost its store: begun anew, it could sign something else instead."""
    if path.exists() and path.stat().st_size > 0:
        return
    serial = newest_serial(path.parent)
    if serial:
        what = "is empty" if path.exists() else "is missing"
        raise StoreError(
            f"{path}: the store {what}, though this peer has been a member with this home ({serial} records). Put back"
            " a backup of the home (the peer then abstains until it has caught up), or join again with a new --home"
        )


def _refuse_links(path: Path) -> None:
    """Refuse symbolic links: SQLite follows them, so another user could choose which file it writes."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        one = path.with_name(path.name + suffix)
        if one.is_symlink():
            raise StoreError(f"{one}: a symbolic link, which a peer never makes; remove it: rm {shlex.quote(str(one))}")


def _check_kind(path: Path, link: sqlite3.Connection) -> int:
    """Return the schema version, 0 for a new file."""
    version = int(link.execute("PRAGMA user_version").fetchone()[0])
    application = int(link.execute("PRAGMA application_id").fetchone()[0])
    used = link.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if used and application != APPLICATION_ID:
        raise StoreError(f"{path}: this is another program's database; use another --home")
    if version > VERSION:
        raise StoreError(
            f"{path}: written by a newer Coterie (store version {version}, this one reads {VERSION}); upgrade Coterie"
        )
    if 0 < version < VERSION:
        raise StoreError(
            f"{path.parent}: this home is of an older Coterie (store version {version}, and this one has {VERSION}); it"
            f" cannot go on there. {UPGRADING}"
        )
    return version


def _explain(path: Path, error: sqlite3.Error) -> str:
    name = getattr(error, "sqlite_errorname", "") or type(error).__name__
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, str(error))
    is_failing = name.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN"))
    if name == "SQLITE_FULL" or (is_failing and has_no_room(path.parent)):
        return (
            f"{path}: the disk is full. Everything that was sent is safely stored; free some space and start"
            " again with the same --home"
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return f"{path}: another program keeps the file locked; close it and try again"
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return f"{path}: cannot be opened for writing ({error}); check owner and mode of it and its folder"
    if name.startswith("SQLITE_IOERR"):
        return f"{path}: the disk fails ({name}); check it, then start again with the same --home"
    return f"{path}: {error} ({name})"


def damaged(path: Path, reason: str) -> str:
    """Say that the file is damaged, why, and what to do."""
    return (
        f"{path}: the file is damaged ({reason}). Put back a backup of the home (the peer then abstains until"
        " it has caught up), or join again with a new --home"
    )
