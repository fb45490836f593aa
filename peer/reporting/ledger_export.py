"""A ledger as a file of its own, so that anybody can check it: genesis, then each block with its certificate.

The layout: a line of magic, then records. A record is a length in 4 bytes (big-endian), and as many bytes as it says.
The first record is the genesis, each further one the canonical encoding of a
:class:`...protocol.messages.kinds.CertifiedBlock`. Every byte counts: any change makes :func:`verify` fail and name the
height. There is one exception: if the newest records were cut off as a whole, the rest is a valid, shorter ledger. So
compare its head with the one that a member shows.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO, Final

from ...protocol.ledger.certificates import extend
from ...protocol.ledger.genesis import GENESIS_BYTES, Genesis, GenesisError, OtherVersion, read_genesis
from ...protocol.ledger.state import LedgerError, LedgerState, genesis_state
from ...protocol.limits import MAX_BLOCK_BYTES, MAX_ENVELOPE_BYTES
from ...protocol.messages.encoding import DecodeError, decode, encode
from ...protocol.messages.kinds import CertifiedBlock
from ..errors import Exit, PeerError, no_federation
from ..home.facts import GENESIS
from ..home.store import Reader

MAGIC: Final = b"coterie ledger 1\n"
_LENGTH_BYTES: Final = 4
_MAX_RECORD_BYTES: Final = 4 * (MAX_BLOCK_BYTES + MAX_ENVELOPE_BYTES)


class Invalid(PeerError):
    """The ledger does not verify; the message says where and why."""

    code = Exit.CHECK_FAILED


@dataclass(frozen=True, slots=True)
class Ledger:
    """A ledger to be read: its genesis and its blocks in order, nothing checked yet."""

    name: str
    genesis: Genesis
    blocks: Iterable[CertifiedBlock]


def of_store(reader: Reader) -> Ledger:
    """Return the ledger of a home.

    Raises:
        PeerError: the home is in no federation yet.
        Invalid: the genesis is damaged.
    """
    data = reader.fact(GENESIS)
    if data is None:
        raise PeerError(no_federation(reader.path.parent), Exit.FEDERATION)
    stored = reader.fact("federation")
    genesis = _genesis(str(reader.path), data)
    if stored is not None and stored != genesis.federation:
        raise Invalid(f"{reader.path}: height 0: the genesis does not have the hash that names the federation")
    return Ledger(str(reader.path), genesis, _stored_blocks(reader))


def of_file(path: Path) -> Ledger:
    """Return the ledger of an exported file.

    Raises:
        Invalid: the file cannot be read, or is no exported ledger.
    """
    records = _records(path)
    return Ledger(str(path), _genesis(str(path), next(records, b"")), _exported_blocks(path, records))


def write(ledger: Ledger, out: BinaryIO) -> int:
    """Write a ledger as a file; return how many blocks it has besides the genesis."""
    out.write(MAGIC)
    _write_record(out, ledger.genesis.encode())
    number = 0
    for number, block in enumerate(ledger.blocks, 1):  # noqa: B007
        _write_record(out, encode(block))
    return number


def verify(ledger: Ledger) -> LedgerState:
    """Check every hash, rule and certificate from genesis on; return the state at the head.

    Raises:
        Invalid: the message says at which height and why.
    """
    state = genesis_state(ledger.genesis)
    for block in ledger.blocks:
        try:
            state = extend(state, block)
        except LedgerError as error:
            raise Invalid(f"{ledger.name}: {error}") from None
    return state


def _stored_blocks(reader: Reader) -> Iterator[CertifiedBlock]:
    expected = 1
    for stored in reader.blocks():
        if stored.height != expected:
            raise Invalid(f"{reader.path}: height {expected}: the block is missing")
        expected += 1
        yield CertifiedBlock(stored.block, stored.certificate)


def _exported_blocks(path: Path, records: Iterator[bytes]) -> Iterator[CertifiedBlock]:
    for height, record in enumerate(records, 1):
        try:
            yield decode(record, CertifiedBlock, _MAX_RECORD_BYTES)
        except DecodeError as error:
            raise Invalid(f"{path}: height {height}: {error}") from None


def _records(path: Path) -> Iterator[bytes]:
    """Yield the records of a file one by one, never all in memory, since its writer chose its length.

    Only a regular file is read: a device has no end, and a pipe may never say anything.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Invalid(f"{path}: not a regular file")
        with open(descriptor, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise Invalid(f"{path}: not an exported ledger")
            for height in count():
                length = file.read(_LENGTH_BYTES)
                if not length:
                    return
                size = int.from_bytes(length, "big")
                if len(length) == _LENGTH_BYTES and size > _MAX_RECORD_BYTES:
                    raise Invalid(f"{path}: height {height}: a length in the file is wrong: no record has {size} bytes")
                record = file.read(size)
                if len(length) < _LENGTH_BYTES or len(record) < size:
                    raise Invalid(f"{path}: height {height}: the file is cut off, or a length in it is wrong")
                yield record
    except OSError as error:
        raise Invalid(f"{path}: cannot be read ({error.strerror})") from None


def _write_record(out: BinaryIO, record: bytes) -> None:
    out.write(len(record).to_bytes(_LENGTH_BYTES, "big") + record)


def _genesis(name: str, data: bytes) -> Genesis:
    try:
        if len(data) > GENESIS_BYTES:
            raise GenesisError("it is too long")
        return read_genesis(data)
    except OtherVersion as error:
        raise Invalid(f"{name}: height 0: {error}; the Coterie of that version checks it") from None
    except GenesisError as error:
        raise Invalid(f"{name}: height 0: the genesis is damaged ({error})") from None
