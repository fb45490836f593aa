"""Reading a table from a Parquet file, as the texts that a CSV file would hold. Needs pyarrow, an extra of Coterie's.

Because the cells are texts, all else is the same for both kinds of files: spellings of gaps, categories, dates, and
what is refused. Rows are counted from 1, since there are no lines.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from .troubles import TableError

__all__ = ["ParquetRows"]

_BATCH_ROWS = 4096


class ParquetRows:
    """A Parquet file: the names of its columns, and its rows in turn. Raises TableError if it cannot be read."""

    def __init__(self, path: Path) -> None:
        self.line_num = 0
        """The number of the row that was given last; 0 for the names."""
        self.unfit: dict[str, str] = {}
        """Columns of a type that no table of text has, such as lists."""
        self._name = path.name
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise TableError(
                f"{path.name}: this is a Parquet file and no CSV file; export the table as CSV UTF-8, or install what"
                " reads it: pip install 'coterie[parquet]'"
            ) from None
        self._errors = (pyarrow.ArrowException, OSError)
        try:
            self._file: Any = pyarrow.parquet.ParquetFile(path)
            schema = self._file.schema_arrow
        except self._errors as error:
            raise self._damaged(error) from None
        self.names: list[str] = schema.names
        is_fit = (
            pyarrow.types.is_integer,
            pyarrow.types.is_floating,
            pyarrow.types.is_decimal,
            pyarrow.types.is_boolean,
            pyarrow.types.is_string,
            pyarrow.types.is_large_string,
            pyarrow.types.is_date,
            pyarrow.types.is_timestamp,
            pyarrow.types.is_null,
        )
        for entry in schema:
            kind = entry.type.value_type if pyarrow.types.is_dictionary(entry.type) else entry.type
            if not any(test(kind) for test in is_fit):
                self.unfit[entry.name] = str(entry.type)
        self._micros = {
            at: pyarrow.timestamp("us", tz=entry.type.tz)
            for at, entry in enumerate(schema)
            if pyarrow.types.is_timestamp(entry.type)
        }

    def __iter__(self) -> Iterator[list[str]]:
        try:
            for batch in self._file.iter_batches(_BATCH_ROWS):
                for row in zip(*self._cells(batch), strict=True):
                    self.line_num += 1
                    yield list(row)
        except self._errors as error:
            raise self._damaged(error) from None

    def _cells(self, batch: Any) -> list[list[str]]:
        """The cells of each column as texts; empty ones for columns that are unfit."""
        columns = []
        for at, (name, values) in enumerate(zip(self.names, batch.columns, strict=True)):
            if name in self.unfit:
                columns.append([""] * len(values))
                continue
            # Python's own times have no nanoseconds: cut them off.
            known = values.cast(self._micros[at], safe=False) if at in self._micros else values
            columns.append(list(map(_text, known.to_pylist())))
        return columns

    def _damaged(self, error: Exception) -> TableError:
        why = " ".join(str(error).split())[:200]
        return TableError(
            f"{self._name}: this is a Parquet file that cannot be read ({why}) and no CSV file; export the table as CSV"
            " UTF-8, or write the Parquet file anew"
        )


def _text(value: Any) -> str:
    """A value as CSV would hold it: a number with all its digits, nothing for a gap."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal():
            return format(value, "f")
        case datetime() | date():
            return value.isoformat()
    return repr(value) if isinstance(value, float) else str(value)
