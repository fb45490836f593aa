"""The frame of a run: the home's lock, the kept settings, the log, the crash report, and the exit code."""

import contextlib
import gc
import os
import re
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import trio

from ..errors import Exit, PeerError
from ..federation.invites import open_invite
from ..federation.refounding import refounded_text
from ..home.facts import GENESIS, REFOUNDED, SETTINGS
from ..home.folder import Home, KeyProblem, missing_key, passphrase_source
from ..home.settings import (
    Settings,
    changed_founding_options,
    check_settings,
    check_table_options,
    check_way_in,
    founding_options,
    kept_search,
    read_settings,
)
from ..home.store import Reader, Store
from ..reporting.reporters import reporter
from ..system.app_workers import end_workers, free_workers
from ..system.crash_report import watched
from ..system.full_disk import full_disk, is_full
from ..system.malloc import return_large_blocks
from ..system.own_stdout import own_stdout
from ..system.stop_signals import StopSignals
from ..tracking.trackers import load_packages
from .control_handlers import answer
from .end_tasks import END_TASKS
from .log_file import Logged, check_log_file, log_start, logging_to
from .run_end import first_cause
from .session import Session

_MAX_NAME_CHARS: Final = 64
_SECRET_LIKE: Final = re.compile(r"[0-9A-Za-z+/_=\\-]{24,}|b'[^']{16,}'|b\"[^\"]{16,}\"")


def run_peer(home: Home, given: Mapping[str, Any], as_json: bool, asked: StopSignals) -> int:
    """Run the peer of ``home`` with the kept options and those ``given``; return the exit code.

    Args:
        home: the home of the peer.
        given: the options of this start, by the names of their settings.
        as_json: print events as JSON lines.
        asked: the handler of the signals that ask the peer to stop.

    Raises:
        PeerError: a problem that the user has to solve.
    """
    check_log_file(given, home)
    with logging_to(given.get("log"), given.get("log_file"), given.get("log_json", False)):
        return _run_peer(home, given, as_json, asked)


def _run_peer(home: Home, given: Mapping[str, Any], as_json: bool, asked: StopSignals) -> int:
    if "invite" in given:
        # Checked even if the home has its federation already: the user expects this invite to be of use.
        open_invite(given["invite"], 0)
    return_large_blocks()
    free_workers()
    home.prepare()
    log_start(home)
    with (
        home.locked(),
        watched(home.folder) as crashed,
        own_stdout() as out,
        Store.open(home.folder, _quota()) as store,
    ):
        kept = read_settings(store.fact(SETTINGS))
        if store.fact(GENESIS) is not None and (changed := changed_founding_options(given, kept)):
            raise PeerError(f"{', '.join(changed)}: {_how_to_change(changed, home)}")
        settings = kept.with_given(given)
        if settings.joins and store.fact(GENESIS) is None and (founders := founding_options(given)):
            raise PeerError(f"{', '.join(founders)}: only a founder can choose this; leave it out to join")
        check_settings(settings)
        if store.fact(GENESIS) is None:
            check_way_in(settings)
        check_table_options(given, settings)
        load_packages(settings, given)
        if not settings.name:
            name = _name_before(settings) or socket.gethostname()[:_MAX_NAME_CHARS] or "peer"
            settings = settings.with_given({"name": name})
        if (other := store.fact(REFOUNDED)) is not None:
            raise PeerError(f"{home.folder}: {refounded_text(other)}", Exit.FEDERATION)
        if store.fact(GENESIS) is not None and not home.key_path.exists():
            raise KeyProblem(missing_key(home))
        identity = home.identity(passphrase_source(settings.passphrase_file))
        report = Logged(reporter(as_json, out))
        if crashed is not None:
            report.event("crashed", _crash_text(crashed), {"report": str(crashed)})
        session = Session(home, settings, identity, store, report, answer, END_TASKS)
        session.asked = asked
        session.way_in.kept_search = kept_search(given, kept)
        session.ending.rejoins = bool({"invite", "bootstrap"} & set(given))
        # The modules that are imported by now stay. Each full collection would go through them for a tenth of a second.
        gc.collect()
        gc.freeze()
        try:
            with asked.running():
                code = trio.run(session.run)
        except PeerError:
            raise
        except BaseException as error:
            cause = first_cause(error)
            if isinstance(cause, PeerError):
                raise cause from None
            if not isinstance(cause, Exception):
                raise cause from None
            if isinstance(cause, OSError) and is_full(cause):
                raise full_disk(cause, home.folder) from None
            is_kept = store.fact(GENESIS) is not None
            raise PeerError(_report_crash(home, cause, is_kept=is_kept), Exit.CRASH) from None
        finally:
            report.close()
            can_end = end_workers()
        is_working = session.driver is not None and bool(session.driver.workers.running)
        busy = session.way_in.is_reading or session.tracking.is_busy or is_working
    sys.stdout.flush()
    if busy or not can_end:
        # A thread cannot be interrupted, and its result is not needed any more.
        sys.stderr.flush()
        os._exit(code)
    return int(code)


def _how_to_change(options: list[str], home: Home) -> str:
    """Say how options that the founder fixed can be changed all the same, or that they cannot."""
    if {*options} <= {"--rounds", "--patience", "--min-peers", "--evict-after"}:
        return (
            "fixed when the federation was founded; the members can change it by a vote: start this peer without it,"
            f" and type beside it: peer propose {home.option} {options[0]} N"
        )
    return "fixed when the federation was founded; use a new --home"


def _name_before(settings: Settings) -> str:
    """Return this peer's name in the federation of the home that ``--continues`` names; empty if it is not known."""
    if settings.continues is None:
        return ""
    # What is wrong with that home is told when both federations are compared.
    with contextlib.suppress(PeerError):
        old = Home(Path(settings.continues))
        old.check()
        with Reader.open(old.folder) as reader:
            return read_settings(reader.fact(SETTINGS)).name
    return ""


def _quota() -> int | None:
    """Return a bound on the store in bytes, for tests of a full disk; None for no bound."""
    value = os.environ.get("COTERIE_STORE_MAX_BYTES", "")
    return int(value) if value.isdecimal() else None


def _crash_text(report: Path) -> str:
    return f"the run before this one crashed in native code (of an app, a library or ours): {report} says where"


def _report_crash(home: Home, error: BaseException, *, is_kept: bool = True) -> str:
    """Write a crash report without anything that could be a secret; return the line for the user.

    ``is_kept``: whether the home has its federation, and so has kept the options of this start.
    """
    path = home.folder / time.strftime("crash-%Y%m%d-%H%M%S.txt")
    frames = "".join(traceback.format_tb(error.__traceback__))
    message = _SECRET_LIKE.sub("…", str(error))[:400]
    report = f"{time.ctime()}\nPython {sys.version}\n\n{frames}{type(error).__name__}: {message}\n"
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8", errors="replace") as file:
            file.write(report)
    begun = f"nothing that was sent is lost, and `peer start {home.option}` goes on"
    again = "no federation was founded or found yet, and nothing of this start is kept: give all its options again"
    return f"a bug of ours: {type(error).__name__}. {path} says where; {begun if is_kept else again}"
