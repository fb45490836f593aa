"""What a running peer shows: lines, JSON lines for scripts, or a live table in a terminal."""

import json
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Protocol, TextIO

from ...crypto.identity.identity import PUBLIC_BYTES, peer_id
from ..member_names import in_words
from .status import Json, lines, printable, timestamp

QUIET: Final = frozenset({"dealt", "fetch"})
"""Kinds of events that users need not see in the plain log; scripts get all events."""

REPEATED: Final = frozenset({"clipped"})
"""Kinds of events that may come in every round: users see the first, second, fourth, eighth and so on, with `advice`.
"""

_PEERS: Final = frozenset({"member", "members", "aggregator", "next_aggregator", "proposer", "names", "peer"})
"""The names of facts that hold keys of members."""


class Reporter(Protocol):
    """The receiver of events, which shows them."""

    wants_status: bool
    """Whether :meth:`refresh` shows anything."""

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Show an event."""

    def refresh(self, status: Json) -> None:
        """Show the current status."""

    def close(self) -> None:
        """End: nothing more is to be shown."""


def plain_facts(facts: Mapping[str, Any]) -> Json:
    """Return facts as JSON can hold them: keys of members as PeerIds, other bytes as hex."""
    return {name: _plain(value, name in _PEERS) for name, value in facts.items()}


def _plain(value: Any, is_peer: bool) -> Any:
    if isinstance(value, bytes):
        return peer_id(value) if is_peer and len(value) == PUBLIC_BYTES else value.hex()
    if isinstance(value, Mapping):
        return {str(name): _plain(one, is_peer) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one, is_peer) for one in value]
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    return str(value)


class JsonLines:
    """One JSON object an event: ``event``, ``text``, ``time`` (unix seconds) and the facts."""

    wants_status = False

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Print an event."""
        line = {"event": kind, "text": text, "time": round(time.time(), 3), **plain_facts(facts)}
        _print(self._out, json.dumps(line))

    def refresh(self, status: Json) -> None:
        """Do nothing: scripts ask for the status when they want it."""

    def close(self) -> None:
        """Nothing to do."""


class _Lines:
    """The lines for those events that users see."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def line(self, kind: str, text: str, facts: Mapping[str, Any]) -> str | None:
        """Return the line for an event; None if it is not shown."""
        self._counts[kind] += kind in REPEATED
        count = self._counts[kind]
        if kind in QUIET or facts.get("on_stderr") or count & (count - 1):
            return None
        if kind in REPEATED:
            text += f" ({count}×; {facts['advice']})" if "advice" in facts else f" ({count}×)"
        return f"{timestamp()} {describe(text, facts)}"


class PlainLines:
    """Lines for a log."""

    wants_status = False

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines = _Lines()

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Print an event."""
        line = self._lines.line(kind, text, facts)
        if line is not None:
            _print(self._out, line)

    def refresh(self, status: Json) -> None:
        """Do nothing: a log does not repeat the status."""

    def close(self) -> None:
        """Nothing to do."""


class Live:
    """A table at the foot of the terminal, and the log above it."""

    wants_status = True

    def __init__(self, out: TextIO | None = None) -> None:
        from rich.console import Console
        from rich.live import Live as RichLive
        from rich.text import Text

        self._text = Text
        self._lines = _Lines()
        self._console = Console(file=out, highlight=False)
        # rich moves above the table what is printed to standard error, unless that goes to a file.
        is_here = sys.stderr.isatty()
        self._live = RichLive(
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=is_here,
        )
        self._live.start()

    def event(self, kind: str, text: str, facts: Mapping[str, Any]) -> None:
        """Print an event above the table."""
        line = self._lines.line(kind, text, facts)
        if line is not None:
            self._console.print(self._text(line), soft_wrap=True)

    def refresh(self, status: Json) -> None:
        """Draw the table anew."""
        table = "\n".join(lines(status))
        self._live.update(self._text(f"\n{table}"), refresh=True)

    def close(self) -> None:
        """Take the table away."""
        self._live.stop()


def describe(text: str, facts: Mapping[str, Any]) -> str:
    """Return the line for an event: its text, after the member that it is about if the text does not name that."""
    member = facts.get("member")
    if isinstance(member, bytes) and len(member) == PUBLIC_BYTES and "name" not in facts:
        text = f"{in_words(facts.get('who') or '…' + peer_id(member)[-11:])}: {text}"
    return printable(text)


def reporter(as_json: bool, out: TextIO | None = None) -> Reporter:
    """Return the reporter that fits the output: JSON lines, a live table for a terminal, or plain lines."""
    stream = out or sys.stdout
    if as_json:
        return JsonLines(stream)
    if stream.isatty():
        return Live(stream)
    return PlainLines(stream)


def _print(out: TextIO, line: str) -> None:
    """Print a line. If the reader of the output is gone, go on without."""
    try:
        out.write(line + "\n")
        out.flush()
    except (BrokenPipeError, ValueError):
        pass
