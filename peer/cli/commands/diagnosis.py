"""The checks of `peer doctor`: each one yields findings, and says what to do where something is wrong."""

import errno
import os
import platform
import shlex
import shutil
import socket
import stat
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ....protocol.ledger.phases import Phase
from ...control.client import Json, ask
from ...errors import Exit, PeerError
from ...federation.consent import Consent, NoConsent
from ...home.copy_guard import newest_serial
from ...home.facts import ADDRESSES, SETTINGS
from ...home.folder import Home
from ...home.settings import Settings, read_settings
from ...home.store import FILE_NAME, Reader
from ...member_names import in_words, told_names
from ...network.address_text import dial_place, listen_place
from ...reporting.quorum_watch import shortage
from ...reporting.status import explain_privacy, printable
from ...system.full_disk import advice as full_advice
from ...system.full_disk import has_no_room, is_full

if TYPE_CHECKING:
    from ....protocol.ledger.state import LedgerState

CONNECT_SECONDS: Final = 5.0
"""How long a connection may take, and how long the answer of the peer after it."""
MAX_CALLS_AT_ONCE: Final = 16
SLOW_FSYNC_SECONDS: Final = 0.05
CLOCK_SKEW_SECONDS: Final = 5.0
_FSYNCS: Final = 15
_BLOCK_BYTES: Final = 4096
_MB: Final = 1_000_000
_BASE_MEMORY_BYTES: Final = 200 * _MB
_SPARE_DISK_BYTES: Final = 200 * _MB


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; ``advice`` is empty where there is nothing to do."""

    check: str
    ok: bool
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    """What is known before the checks are made."""

    home: Home
    settings: Settings
    state: "LedgerState | None"
    running: int | None
    places: "Mapping[str, bytes | None]"
    """The addresses of others, as the user typed them or as those peers announced them; the member, where it is known.
    """
    listen: tuple[str, ...]


def examine(home: Home, bootstrap: Sequence[str], listen: str | None) -> list[Finding]:
    """Run all checks; a check that cannot be made is a finding, too."""
    findings = [_versions()]
    store, case = _open_case(home, bootstrap, listen)
    findings.append(store)
    checks: tuple[Callable[[_Case], Iterator[Finding]], ...] = (
        _home,
        _key,
        _privacy,
        _disk,
        _fsync,
        _clock,
        _memory,
        _port,
        _reach,
    )
    for check in checks:
        try:
            findings += check(case)
        except (OSError, PeerError) as error:
            found = str(getattr(error, "strerror", None) or error)
            findings.append(Finding(check.__name__.strip("_"), False, found, _what_to_do(error, home)))
    return findings


def _what_to_do(error: OSError | PeerError, home: Home) -> str:
    """Return the advice for a check that could not be made."""
    if isinstance(error, PeerError):
        return "see the message"
    folder = _existing(home.folder)
    return full_advice(folder) if is_full(error) else f"check the disk of {folder}, and the owner and mode of the home"


def _open_case(home: Home, bootstrap: Sequence[str], listen: str | None) -> tuple[Finding, _Case]:
    """Read the store of the home, as far as that is possible; return a finding about it, and the case."""
    settings, state = Settings(), None
    known: dict[str, bytes | None] = {}
    path = home.folder / FILE_NAME
    found = Finding("store", True, f"{path}: not there yet; `peer start` makes it")
    if path.exists() or newest_serial(home.folder):
        try:
            with Reader.open(home.folder) as reader:
                settings, state, known = _read(reader, home.public_key())
                spoilt = reader.has_damaged_model()
            found = Finding("store", True, f"{path}: {path.stat().st_size / _MB:.1f} MB, readable")
            if spoilt:
                advice = "start the peer while others run: it fetches the model from them"
                found = Finding("store", False, f"{path}: the model in it is damaged", advice)
        except Exception as error:
            advice = "put back a backup, or join again with a new --home"
            if isinstance(error, PeerError) and error.code is Exit.STORE and has_no_room(home.folder):
                advice = full_advice(home.folder)
            found = Finding("store", False, str(error), advice)
    for text in (*settings.bootstrap, *bootstrap):
        known.setdefault(text, None)
    places = (listen,) if listen else settings.listen
    return found, _Case(home, settings, state, home.running_pid(), known, places)


def _read(reader: Reader, me: bytes | None) -> "tuple[Settings, LedgerState | None, dict[str, bytes | None]]":
    """Read the settings, the ledger, and the addresses of the others.

    Those of this peer itself are left out: that it reaches itself says nothing.
    """
    import msgspec

    from ...network.transport.addresses import BadRecord, open_record
    from ...reporting.status import replay

    addresses: dict[str, bytes | None] = {}
    for record in msgspec.msgpack.decode(reader.fact(ADDRESSES) or b"\x90", type=list[bytes]):
        with suppress(BadRecord):
            opened = open_record(record)
            if opened.member != me:
                addresses |= {str(address): opened.member for address in opened.addresses}
    return read_settings(reader.fact(SETTINGS)), replay(reader), addresses


def _versions() -> Finding:
    python = platform.python_version()
    try:
        libp2p = metadata.version("libp2p")
    except metadata.PackageNotFoundError:
        return Finding("versions", False, f"Python {python}, no libp2p", "install Coterie again (pip install)")
    fits = (3, 11) <= sys.version_info[:2] < (3, 14) and libp2p == "0.8.1"
    advice = "" if fits else "Python 3.11 to 3.13 and libp2p 0.8.1 are needed"
    return Finding("versions", fits, f"Python {python}, libp2p {libp2p}", advice)


def _home(case: _Case) -> Iterator[Finding]:
    folder = case.home.folder
    if not folder.exists():
        yield Finding("home", True, f"{folder}: not there yet; `peer start` makes it")
        return
    running = "no peer runs in it" if case.running is None else f"in use by the peer with pid {case.running}"
    wrong = case.home.trouble()
    if wrong is not None:
        yield Finding("home", False, *wrong)
        return
    mode = stat.S_IMODE(folder.stat().st_mode)
    advice = f"others may look in, and see names and sizes; to keep them out: chmod 700 {case.home.quoted}"
    yield Finding("home", True, f"{folder} (mode {mode:04o}): {running}", advice if mode & 0o077 else "")


def _privacy(case: _Case) -> Iterator[Finding]:
    if case.state is None:
        return
    genesis = case.state.genesis
    told = explain_privacy(case.state)
    consent = Consent(genesis, case.settings, case.home, genesis.founder == case.home.public_key())
    try:
        consent.check_genesis()
        consent.check(case.state.committee)
    except NoConsent as error:
        yield Finding("privacy", False, told, str(error))
    else:
        yield Finding("privacy", True, told)


def _key(case: _Case) -> Iterator[Finding]:
    path = case.home.key_path
    if not path.exists():
        if case.state is None:
            yield Finding("key", True, "none yet; `peer start` makes one, and so does `peer id`")
        else:
            advice = "put it back from a backup, or join again with a new --home"
            yield Finding("key", False, f"{path}: missing, and the federation knows this peer by it", advice)
        return
    mode = stat.S_IMODE(path.lstat().st_mode)
    public = case.home.public_key()
    if public is None:
        yield Finding("key", False, f"{path}: cannot be read", "put back a copy of the key file")
    elif mode & 0o077:
        yield Finding(
            "key", False, f"{path}: others may read it (mode {mode:04o})", f"run: chmod 600 {shlex.quote(str(path))}"
        )
    else:
        from ....crypto.identity.identity import peer_id

        yield Finding("key", True, f"{peer_id(public)} (mode {mode:04o})")


def disk_needed_bytes(parameters: int, members: int) -> int:
    """Return the free space that a peer may need: the vectors of a round, two models, and a reserve."""
    return _SPARE_DISK_BYTES + 4 * parameters * 3 * (members + 2)


def memory_needed_bytes(parameters: int, members: int) -> int:
    """Return about how much memory a peer needs: Python and its libraries, and the vectors of a round."""
    return _BASE_MEMORY_BYTES + 4 * parameters * (2 * members + 16)


def _size(case: _Case) -> tuple[int, int]:
    """Return the number of parameters and of members; zero for both where there is no federation yet."""
    return (0, 0) if case.state is None else (case.state.genesis.parameters, len(case.state.members))


def _disk(case: _Case) -> Iterator[Finding]:
    folder = _existing(case.home.folder)
    free = shutil.disk_usage(folder).free
    needed = disk_needed_bytes(*_size(case))
    enough = free >= needed
    found = f"{free / 1000 / _MB:.1f} GB free; a peer may need {needed / 1000 / _MB:.1f} GB"
    yield Finding("disk", enough, found, "" if enough else full_advice(folder))


def _fsync(case: _Case) -> Iterator[Finding]:
    seconds = _fsync_seconds(_existing(case.home.folder))
    quick = seconds <= SLOW_FSYNC_SECONDS
    advice = "" if quick else "votes wait for the disk: put --home on a local SSD"
    yield Finding("fsync", quick, f"{seconds * 1000:.1f} ms for a durable write", advice)


def _fsync_seconds(folder: Path) -> float:
    path = folder / f".coterie-doctor-{os.getpid()}"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        times = []
        for _ in range(_FSYNCS):
            start = time.perf_counter()
            if os.write(descriptor, bytes(_BLOCK_BYTES)) < _BLOCK_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
            times.append(time.perf_counter() - start)
        return statistics.median(times)
    finally:
        os.close(descriptor)
        path.unlink()


def _clock(case: _Case) -> Iterator[Finding]:
    folder = _existing(case.home.folder)
    path = folder / f".coterie-doctor-{os.getpid()}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    # On a network disk, the time of a new file is that of the server's clock.
    skew = path.stat().st_mtime - time.time()
    path.unlink()
    founded = 0.0 if case.state is None else case.state.genesis.created_ms / 1000
    now = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    if time.time() < founded:
        yield Finding("clock", False, f"{now}: before the federation was founded", "set the clock (NTP)")
    elif abs(skew) > CLOCK_SKEW_SECONDS:
        found = f"{now}: {abs(skew):.0f} s apart from the clock of the disk's server"
        yield Finding("clock", False, found, "set the clock (NTP)")
    else:
        yield Finding("clock", True, now)


def _memory(case: _Case) -> Iterator[Finding]:
    needed = memory_needed_bytes(*_size(case))
    try:
        text = Path("/proc/meminfo").read_text()
        available = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError, IndexError):
        return
    enough = available * 1024 >= needed
    found = f"{available * 1024 / _MB:.0f} MB available, about {needed / _MB:.0f} MB needed for this model"
    yield Finding("memory", enough, found, "" if enough else "close other programs, or use a larger machine")


def _port(case: _Case) -> Iterator[Finding]:
    if case.running is not None:
        yield Finding("port", True, "the running peer listens")
        return
    from ...network.transport.host import ListenError, check_port_is_free

    for text in case.listen:
        try:
            place = listen_place(text)
            check_port_is_free(place)
        except PeerError as error:
            yield Finding("port", False, str(error), "correct the address")
        except ListenError as error:
            yield Finding("port", False, str(error), "stop what listens there, or choose another --listen")
        else:
            what = "any free port" if place.endswith("/tcp/0") else "free"
            yield Finding("port", True, f"{place}: {what}")


def _reach(case: _Case) -> Iterator[Finding]:
    """Try each known address, and find out whether enough members can be reached to decide anything.

    If one address answers, others that do not answer are no failure, unless the members that answer are too few to
    decide. Once the training is finished, nobody has to answer.
    """
    places: dict[str, bytes | None] = {}
    for text, member in case.places.items():
        try:
            place = dial_place(text)
            places[place] = places.get(place) or member or _member_at(place)
        except PeerError as error:
            yield Finding("reachability", False, str(error), "correct the address")
    status = _running_status(case)
    answers = _answers(places, status)
    reached = [place for place, trouble in answers.items() if trouble is None]
    stalled = _stalled(case, {member for place in reached if (member := places[place]) is not None}, status)
    is_finished = case.state is not None and case.state.phase is Phase.FINISHED
    enough = is_finished or (bool(reached) and not stalled)
    excuse = "the training is finished" if is_finished else "another address answers, which is enough"
    names = {} if case.state is None else told_names(case.state)
    for address, trouble in answers.items():
        ok = trouble is None or enough
        advice = "" if ok else "is the peer up, the port forwarded, the firewall open?"
        spared = f" ({excuse})" if ok and trouble is not None else ""
        name = names.get(places[address] or b"")
        who = "" if name is None else f" ({printable(in_words(name))})"
        yield Finding("reachability", ok, f"{address}{who}: {trouble or 'answers'}{spared}", advice)
    if is_finished:
        yield Finding("reachability", True, "the training is finished, so nobody has to be reachable")
    elif not case.places:
        yield Finding("reachability", True, "no other peer is known yet; --bootstrap ADDR tries one")
    if stalled:
        yield Finding("agreement", False, printable(stalled), "start the missing members, or see to their network")
    elif stalled is not None:
        yield Finding("agreement", True, "enough members can be reached to decide")


def _running_status(case: _Case) -> Json | None:
    """Return the status of the running peer of this home; None if none runs, or the home cannot be trusted."""
    if case.running is None or case.home.trouble() is not None:
        return None
    status: Json = ask(case.home.socket_path, {"do": "status"})["status"]
    return status


def _answers(places: Mapping[str, bytes | None], status: Json | None) -> dict[str, str | None]:
    """Return for each address why no peer answers there; None for an address that answers.

    A running peer knows its links to members. All other addresses are called, several at once.
    """
    from ....crypto.identity.identity import peer_id

    rows = {row["id"]: row for row in (status or {}).get("members", ())}
    known = {place: rows.get(peer_id(member)) for place, member in places.items() if member is not None}
    called = [place for place in places if known.get(place) is None]
    with ThreadPoolExecutor(MAX_CALLS_AT_ONCE) as callers:
        heard = dict(zip(called, callers.map(_call, called), strict=True))
    return {place: heard[place] if (row := known.get(place)) is None else _link_trouble(row) for place in places}


def _link_trouble(row: Json) -> str | None:
    """Say since when the running peer has no link to a member; None where it has one."""
    if row["connected"]:
        return None
    lost = row["down_seconds"]
    text = "the running peer has no link to it" if lost is None else f"down since {lost:.0f} s"
    return f"{text} ({printable(row['trouble'])})" if row["trouble"] else text


def _stalled(case: _Case, reached: set[bytes], status: Json | None) -> str | None:
    """Say why nothing can be decided, and which members are missing; None if there is nothing to decide.

    The text is empty if enough members can be reached.

    A running peer knows its links and says so in ``status``. If it is stopped, a member counts as reached if one of its
    addresses answers.
    """
    me = case.home.public_key()
    if case.state is None or me is None or case.state.phase is Phase.FINISHED or case.state.committee.index(me) is None:
        return None
    if status is None:
        return shortage(case.state, me, reached, case.home) or ""
    return str(status.get("stalled") or "")


def _member_at(place: str) -> bytes | None:
    """Return the member that an address names; None where it names none."""
    from ...network.transport.addresses import parse_address

    return parse_address(place).member


def _call(address: str) -> str | None:
    """Call an address; return why no peer answers there, None if one does.

    The call goes on to the first message of the handshake, since the system accepts calls for a frozen process, too.
    """
    from ...network.transport.knocks import MULTISTREAM

    _, _, host, _, port, *_ = address.split("/")
    try:
        call = socket.create_connection((host, int(port)), CONNECT_SECONDS)
    except OSError as error:
        return error.strerror or "no answer"
    heard = b""
    with call:
        try:
            call.sendall(MULTISTREAM)
            while len(heard) < len(MULTISTREAM) and (part := call.recv(len(MULTISTREAM) - len(heard))):
                heard += part
        except TimeoutError:
            return f"takes the call and says nothing for {CONNECT_SECONDS:g} s: the peer there is frozen or overloaded"
        except OSError:
            pass  # it hung up
    if heard == MULTISTREAM:
        return None
    return "something answers that is no peer" if heard else "hangs up at once: no peer, or one that is flooded"


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)
