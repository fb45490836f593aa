"""The log of a run: on standard error, and with `--log-file` in a file, where all that the run tells stands too.

A file is opened anew where another program has moved it away, such as logrotate. A disk that is full or a folder that
is gone is no reason to stop training: it is told once, and the log goes on as soon as that is possible again.
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

from .asked import StoppedEarly
from .exits import Exit, PeerError
from .home import Home
from .own_stdout import AsStderr
from .page.history import FAULTS
from .progress import QUIET, Reporter, describe, plain_facts
from .status import Json, printable
from .steady import Trouble, tell_once

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
    "unreachable",
    "void",
    "wrong-genesis",
}
"""Events that a person may have to look into: warnings."""

_READ: Final = ("data", "roster", "passphrase_file", "page_token_file")
"""Options that name a file to read."""

_INVITE: Final = re.compile(r"coterie1-[\w-]+")
"""Logs are copied, collected and sent around, and an invite lets anybody join."""

_OFF: Final = logging.CRITICAL + 1

_log = logging.getLogger("coterie.events")
_log.propagate = False  # standard output has told it
_log.setLevel(_OFF)


class Logged:
    """Hands everything on to a reporter, and the events to the log."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self.wants_status = report.wants_status

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Something happened."""
        level = _level_of(kind, facts)
        if _log.isEnabledFor(level):
            _write(level, kind, describe(text, facts), plain_facts(facts))
        self._report.event(kind, text, facts)

    def refresh(self, status: Json) -> None:
        """This is how things stand now."""
        self._report.refresh(status)

    def close(self) -> None:
        """No more is to be shown."""
        self._report.close()


def check_log_file(given: Mapping[str, Any], home: Home) -> None:
    """Refuse what is no place for a log, whatever happens to disks later.

    Raises:
        PeerError: it is a folder, or a file of the peer or of its user.
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
    """Log meanwhile, to the file of this name if there is one; also why the run ended.

    ``level``: the least that the log is to hold beside what the run tells. ``as_json``: a JSON object a line.
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
    """Write the first line: a file that cannot be written is told at once."""
    from .. import __version__

    facts = {"version": __version__, "process": os.getpid(), "home": str(home.folder)}
    _write(logging.INFO, "starting", f"peer {__version__} starts: process {os.getpid()}, home {home.folder}", facts)


def _log_to_stderr(level: str | None, as_json: bool) -> None:
    # libp2p logs much, also to the root logger, and mostly of routine cases.
    # Lines begin as those of events do (`status.timestamp`).
    handler = logging.StreamHandler(AsStderr())
    plain = logging.Formatter("%(asctime)s %(message)s (%(name)s)", "%H:%M:%S")
    handler.setFormatter(_Json() if as_json else plain)
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
    logging.getLogger("coterie").setLevel((level or "warning").upper())


def _tell_why(error: BaseException) -> None:
    """Say what the command itself says on standard error."""
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
    """A file that may be moved away, may lie on a full disk, or may not be there: told once, and tried again."""

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
        """Take what writing raised."""
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
        """Let go of the file: the next record opens it anew, and repeats no part of this one."""
        stream, self.stream = self.stream, None
        if stream is not None:
            with suppress(OSError):
                stream.close()
        self._trouble(error)

    def _open(self) -> TextIO:  # type: ignore[override]
        """Open the file to append; a new one is its owner's alone. A pipe that nobody reads does not hold a peer up."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(self.baseFilename, flags, 0o600)
        if _is_cut_off(self.baseFilename, descriptor):
            with suppress(OSError):
                os.write(descriptor, b"\n")
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


def _is_cut_off(path: str, descriptor: int) -> bool:
    """Whether a file ends in the middle of a line, as after a full disk or a kill."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or not found.st_size:
        return False
    try:
        with open(path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False  # a file that may be written and not read


class _Plain(logging.Formatter):
    """A line for people; whatever stands in a name, it is one line, and those of a traceback are indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        when = time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(record.created))
        text = "; ".join(filter(None, map(str.strip, _printed(record.getMessage()).split("\n"))))
        line = f"{when} {record.levelname.lower():<7} {text} ({getattr(record, 'event', record.name)})"
        if record.exc_info:
            line += "".join(f"\n    {one}" for one in _printed(self.formatException(record.exc_info)).splitlines())
        return line


class _Json(logging.Formatter):
    """A JSON object: `time` (unix seconds), `level`, `source`, `event` (null: none), `text` and `fields`."""

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
