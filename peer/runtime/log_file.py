"""The log of a run: on standard error, and with `--log-file` also in a file, which holds the events of the run, too.

If another program, such as logrotate, has moved the file away, it is opened anew. A full disk or a missing folder does
not stop the training: it is told once, and the log goes on as soon as the file can be written again.
"""

import json
import logging
import os
import re
import stat
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler
from pathlib import Path
from typing import Any, Final, TextIO

from ..errors import Exit, PeerError
from ..home.folder import Home
from ..page.history import FAULTS
from ..reporting.reporters import QUIET, Reporter, describe, plain_facts
from ..reporting.status import Json, printable
from ..system.own_stdout import AsStderr
from ..system.standard_streams import Trouble, tell_once
from ..system.stop_signals import StoppedEarly

__all__ = ["Logged", "check_log_file", "log_start", "logging_to"]

_WORRYING: Final = FAULTS | {
    "abstaining",
    "another-federation",
    "crashed",
    "kept-out",
    "late",
    "left-behind",
    "link-refused",
    "not-admitted",
    "overdue",
    "paused",
    "sitting-out",
    "stalled",
    "stuck",
    "tracking-behind",
    "tracking-failed",
    "unreachable",
    "void",
    "wrong-genesis",
}
"""Events that the operator may have to look into; their level is warning."""

_READ: Final = ("data", "roster", "passphrase_file", "page_token_file")
"""Options that name a file to read."""

_INVITE: Final = re.compile(r"coterie1-[\w-]+")
"""Invites, which the log leaves out: logs are copied, collected and sent around, and an invite lets anybody join."""

_OFF: Final = logging.CRITICAL + 1

_log = logging.getLogger("coterie.events")
_log.propagate = False  # standard output has told the events already
_log.setLevel(_OFF)


class Logged:
    """A reporter that passes everything on to another one, and writes the events to the log."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.wants_status = report.wants_status

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Log an event, and pass it on."""
        level = _level_of(kind, facts)
        if _log.isEnabledFor(level):
            _write(level, kind, describe(text, facts), plain_facts(facts))
        self._report.event(kind, text, facts)

    def refresh(self, status: Json) -> None:
        """Pass the current status on."""
        self._report.refresh(status)

    def close(self) -> None:
        """End the other reporter."""
        self._report.close()


def check_log_file(given: Mapping[str, Any], home: Home) -> None:
    """Refuse a ``--log-file`` that can be no log: that is a mistake of the user, unlike trouble with a disk later.

    Raises:
        PeerError: it is a folder, a file of the peer's home, or a file that another option names.
    """
    path = given.get("log_file")
    if path is None:
        return
    if path.endswith("/") or os.path.isdir(path):
        raise PeerError(f"--log-file {path}: this is a folder; name a file in it, such as {Path(path) / 'peer.log'}")
    if home.keeps(Path(path)):
        raise PeerError(f"--log-file {path}: this is a file of the peer's own; name another one")
    for option in _READ:
        if (name := given.get(option)) is not None and os.path.realpath(name) == os.path.realpath(path):
            raise PeerError(f"--log-file {path}: this is the file of --{option.replace('_', '-')}; name another one")


@contextmanager
def logging_to(level: str | None, path: str | None, as_json: bool) -> Iterator[None]:
    """Write the log while the context lasts, and at the end why the run ended.

    Args:
        level: the lowest level of what the log holds beside the events: debug, info or warning (the default).
        path: the log file; None for standard error alone.
        as_json: write a JSON object a line, to the file or, without one, to standard error.
    """
    _log_to_stderr(level, as_json and path is None)
    if path is None and not as_json:
        yield
        return
    handler: logging.Handler = logging.StreamHandler(AsStderr())
    if path is not None:
        handler = _File(path, tell_once(f"--log-file {path}"))
        logging.getLogger().addHandler(handler)
    handler.setFormatter(_Json() if as_json else _Plain())
    _log.addHandler(handler)
    _log.setLevel(logging.DEBUG if level == "debug" else logging.INFO)
    try:
        yield
    except BaseException as error:
        _tell_why(error)
        raise
    finally:
        _log.setLevel(_OFF)
        for logger in (_log, logging.getLogger()):
            logger.removeHandler(handler)
        handler.close()


def log_start(home: Home) -> None:
    """Write the first line of the log, so that it is told at once if the file cannot be written."""
    from ... import __version__

    facts = {"version": __version__, "process": os.getpid(), "home": str(home.folder)}
    _write(logging.INFO, "starting", f"peer {__version__} starts: process {os.getpid()}, home {home.folder}", facts)


def _log_to_stderr(level: str | None, as_json: bool) -> None:
    # libp2p logs much, also to the root logger, and mostly about routine cases: only its errors are kept.
    # Lines begin as those of events do (`status.timestamp`).
    handler = logging.StreamHandler(AsStderr())
    plain = logging.Formatter("%(asctime)s %(message)s (%(name)s)", "%H:%M:%S")
    handler.setFormatter(_Json() if as_json else plain)
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("coterie").setLevel((level or "warning").upper())


def _tell_why(error: BaseException) -> None:
    """Log why the run ends, as the command itself says it on standard error."""
    if isinstance(error, PeerError):
        _write(logging.ERROR, "error", str(error), {"exit": int(error.code)})
    elif isinstance(error, StoppedEarly):
        _write(logging.INFO, "stopped", "stopped before it had begun", {"exit": int(Exit.OK)})
    else:
        _write(logging.ERROR, "error", f"ended by {type(error).__name__}", {})


def _level_of(kind: str, facts: Mapping[str, Any]) -> int:
    if kind in QUIET:
        return logging.DEBUG
    is_worrying = kind in _WORRYING or (kind == "stopped" and facts.get("exit"))
    return logging.WARNING if is_worrying else logging.INFO


def _write(level: int, event: str, text: str, facts: Json) -> None:
    _log.log(level, "%s", text, extra={"event": event, "fields": facts})


class _File(WatchedFileHandler):
    """A log file that may be moved away, lie on a full disk or be missing: that is told once, and tried again."""

    def __init__(self, path: str, trouble: Trouble) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self._trouble = trouble

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, as far as that is possible."""
        try:
            super().emit(record)
        except OSError as error:  # of looking where the file is, or of opening it
            self._go_without(error)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is the library's
        """Handle an exception that writing a record raised."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self._go_without(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file, whatever its disk says."""
        with suppress(OSError):
            super().close()

    def _go_without(self, error: OSError) -> None:
        """Close the file. The next record opens it anew, and repeats no part of this one."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
        self._trouble(error)

    def _open(self) -> TextIO:  # type: ignore[override]
        """Open the file to append. A new one is readable by its owner only; a pipe without a reader does not block."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if _is_cut_off(self.baseFilename, descriptor):
            with suppress(OSError):
                os.write(descriptor, b"\n")
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


def _is_cut_off(path: str, descriptor: int) -> bool:
    """Return whether a file ends in the middle of a line, as after a full disk or a kill."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False  # the file may be written but not read


class _Plain(logging.Formatter):
    """Formats a record as one line of text, whatever a name in it holds; lines of a traceback follow, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))
        text = "; ".join(filter(None, map(str.strip, _printed(record.getMessage()).split("\n"))))
        line = f"{when} {record.levelname.lower():<7} {text} ({getattr(record, 'event', record.name)})"
        if record.exc_info:
            line += "".join(f"\n    {one}" for one in _printed(self.formatException(record.exc_info)).splitlines())
        return line


class _Json(logging.Formatter):
    """Formats a record as JSON: `time` (unix seconds), `level`, `source`, `event` (null: none), `text` and `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        line = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "source": record.name,
            "event": getattr(record, "event", None),
            "text": record.getMessage(),
            "fields": fields,
        }
        return _INVITE.sub("coterie1-…", json.dumps(line))


def _printed(text: str) -> str:
    return printable(_INVITE.sub("coterie1-…", text))
