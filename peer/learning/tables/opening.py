"""Opening a file as the text of a table, gzipped or not. Files of other kinds are refused, named for what they are."""

import gzip
import io
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from .troubles import TableError

__all__ = ["check_is_file", "is_parquet", "opened"]

_GZIP: Final = b"\x1f\x8b"
_OTHERS: Final = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods) or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old workbook (.xls)",
    b"ARROW1": "an Arrow (Feather) file",
    b"SQLite format 3": "an SQLite database",
    b"%PDF": "a PDF document",
    b"$FL": "an SPSS file (.sav)",
    b"<stata_dta>": "a Stata file (.dta)",
    b"\x89HDF": "an HDF5 file",
    b"RDX": "an R data file",
    b"\x93NUMPY": "a numpy array",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"(\xb5/\xfd": "compressed with zstd",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
    b"<?xml": "an XML file",
    b"{": "JSON",
    b"[": "JSON",
}
_PARQUET: Final = b"PAR1"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


def check_is_file(path: Path) -> None:
    """Refuse a pipe or device before anything waits for it. Raises TableError.

    A table is read more than once: to see of which kind it is, and again by later starts.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # reported when the file is opened
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise TableError(
            f"{path}: a pipe or device, which can be read only once; save the table to a file, and name that"
        )


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does; False if it cannot be read, which is reported when it is opened."""
    try:
        with path.open("rb") as raw:
            return raw.read(len(_PARQUET)) == _PARQUET
    except OSError:
        return False


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a file as text for `csv`, which needs the ends of lines as they are.

    Raises:
        TableError: the file cannot be read; raised also while the caller reads it.
    """
    try:
        with path.open("rb") as raw:
            is_packed = raw.read(len(_GZIP)) == _GZIP
            raw.seek(0)
            data = gzip.GzipFile(fileobj=raw) if is_packed else raw
            _check_kind(path.name, data)
            with io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as text:
                yield text
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise TableError(f"{path.name}: its compression is damaged ({error}); make the .gz file anew") from error
    except OSError as error:
        raise TableError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = _first_foreign_line(path)
        raise TableError(f"{path.name}, line {line}: not UTF-8 text; save it as CSV UTF-8") from error


def _check_kind(name: str, data: io.BufferedIOBase) -> None:
    """Refuse a file that is no table of text."""
    head = data.read(64)
    data.seek(0)
    if head.startswith(_UTF_16):
        raise TableError(f"{name}, line 1: not UTF-8 text but UTF-16; save it as CSV UTF-8")
    for begin, what in _OTHERS.items():
        if head.startswith(begin):
            raise TableError(f"{name}: this is {what} and no CSV file; export the table as CSV UTF-8")


def _first_foreign_line(path: Path) -> int:
    """The number of the first line that is not UTF-8."""
    number = 0
    with path.open("rb") as raw:
        packed = raw.read(len(_GZIP)) == _GZIP
        raw.seek(0)
        for number, line in enumerate(gzip.GzipFile(fileobj=raw) if packed else raw, 1):  # noqa: B007
            try:
                line.decode()
            except UnicodeDecodeError:
                break
    return number
