"""Where the figures of the rounds are also written: TensorBoard's event files, and the runs of an MLflow server.

A writer has two methods. :meth:`Writer.written` reads back which figures are there, and :meth:`Writer.write` adds some.
So nothing has to be remembered in the home: a figure that was written just before a crash, or by a request whose answer
was lost, is found, and not written a second time.

This module is imported by every command, so it imports neither package before it is needed.
"""

import os
import re
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from google.protobuf.message import DecodeError

from ..errors import PeerError
from ..home.settings import Settings
from ..system.extras import MissingPackage, load, load_typing

__all__ = [
    "OFF",
    "EventFiles",
    "MlflowRun",
    "Point",
    "Run",
    "Target",
    "Writer",
    "load_packages",
    "mlflow_uri",
    "plain_reason",
    "targets",
]

OFF: Final = "off"
DEFAULT_EXPERIMENT: Final = "Coterie"
BATCH_FIGURES: Final = 500
"""Figures in one request; an MLflow server takes 1000 at most."""
REQUEST_SECONDS: Final = 30
MAX_REASON_CHARS: Final = 200

_SERVERS: Final = ("http", "https")
_DATABASES: Final = ("sqlite", "postgresql", "mysql", "mssql")
_HEADER: Final = struct.Struct("<QI")
_CHECKSUM: Final = struct.Struct("<I")


class Point(NamedTuple):
    """One figure of one round."""

    name: str
    round: int
    value: float


class Run(NamedTuple):
    """The peer whose figures are written."""

    federation: str
    """The name of the federation."""
    federation_id: str
    peer_id: str


class Writer(Protocol):
    """Writes the figures of one peer in one federation to one place."""

    def written(self) -> set[tuple[str, int]]:
        """Read back the name and round of each figure that is there."""

    def write(self, points: Sequence[Point]) -> None:
        """Write figures that are not there yet."""


@dataclass(frozen=True, slots=True)
class Target:
    """A place to write to, as the options name it."""

    shown: str
    """The place in words, without any credentials."""
    has_own: bool
    """Whether the figures over this site's own test rows are written, too."""
    open: Callable[[Run], Writer]
    secrets: tuple[str, ...] = ()
    """Texts that must not be shown."""


def targets(settings: Settings) -> list[Target]:
    """Return the places that the settings name."""
    found = []
    if settings.tensorboard:
        folder = Path(settings.tensorboard)
        found.append(Target(f"TensorBoard files in {folder}", True, lambda run: EventFiles(folder, run)))
    if settings.mlflow:
        uri, experiment = settings.mlflow, settings.mlflow_experiment or DEFAULT_EXPERIMENT
        shown = f"MLflow at {_shown(uri)}"
        own = settings.mlflow_own_figures
        found.append(Target(shown, own, lambda run: MlflowRun(uri, experiment, run), _secrets(uri)))
    return found


def load_packages(settings: Settings, given: Mapping[str, Any]) -> None:
    """Import the packages of the writers before the peer takes part, since that takes seconds.

    Raises:
        PeerError: the package of an option that was just given is missing. For an option that was kept, the peer goes
            on, and the writer tells it.
    """
    for option, load_package in (("tensorboard", _tensorboard), ("mlflow", lambda: _mlflow(settings.mlflow))):
        if not getattr(settings, option):
            continue
        try:
            load_package()
        except MissingPackage as error:
            if option in given:
                raise PeerError(str(error)) from None
        except Exception as error:
            if option in given:
                raise PeerError(f"--{option}: its package cannot be loaded ({type(error).__name__})") from None


def mlflow_uri(text: str) -> str:
    """Return the URI of a tracking server or a database, with a full path.

    Raises:
        PeerError: it is neither. The message does not quote it, since it may hold a password.
    """
    kind = text.partition("://")[0].partition("+")[0]
    if "://" not in text or kind not in (*_SERVERS, *_DATABASES) or not text.isprintable() or " " in text:
        raise PeerError("--mlflow: name a server, such as http://127.0.0.1:5000, or a database, such as sqlite:///FILE")
    try:
        parts = urlsplit(text)
        is_named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_named = False
    if kind in _SERVERS and not is_named:
        raise PeerError("--mlflow: the URI names no server; write it as http://HOST:PORT")
    if kind != "sqlite":
        return text
    head, _, path = text.partition(":///")
    if not path or path == ":memory:":
        raise PeerError("--mlflow: the URI names no file; write it as sqlite:///FILE")
    return f"{head}:///{Path(path).absolute()}"


def plain_reason(error: BaseException, secrets: Sequence[str] = ()) -> str:
    """Say in one line why something could not be written, without the secrets."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain:
        chain.append(one)
        one = one.__cause__ or one.__context__
    for one in chain:
        if isinstance(one, OSError) and one.errno is not None and one.strerror:
            return _without(one.strerror, secrets)
    if any(isinstance(one, TimeoutError) for one in chain):
        return "no answer in time"
    text = " ".join(str(error).split("\n", 1)[0].split())
    if re.search(r"error code 40[13]\b", text):
        return "access refused; check user and password, or the token"
    text = _without(text or type(error).__name__, secrets)
    return text if len(text) <= MAX_REASON_CHARS else f"{text[:MAX_REASON_CHARS]}…"


def _without(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


def _secrets(uri: str) -> tuple[str, ...]:
    """Return the parts of a URI that must not be shown, the longest first."""
    parts = urlsplit(uri)
    user, _, password = parts.netloc.rpartition("@")[0].partition(":")
    found = {parts.netloc.rpartition("@")[0], user, password, parts.query, parts.fragment}
    found |= {value.partition("=")[2] for value in parts.query.split("&")}
    return tuple(sorted(filter(None, found | set(map(unquote, found))), key=len, reverse=True))


def _shown(uri: str) -> str:
    """Return a URI without user, password and query."""
    parts = urlsplit(uri)
    user, _, place = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{'…@' if user else ''}{place}{parts.path}"


# TensorBoard.


def _tensorboard() -> tuple[Any, Callable[[bytes], int]]:
    """Return the class of an event, and the checksum of a record."""
    what, extra = "--tensorboard", "tensorboard"
    events = load("tensorboardX.proto.event_pb2", what, extra)
    return events.Event, load("tensorboardX.record_writer", what, extra).masked_crc32c


class EventFiles:
    """Writes event files into a folder of their own; each run of the peer makes a file.

    The package's own writer has a thread with a queue, which stops for good when the disk is full. So only its messages
    and its checksum are used. A file is opened for each write: if it is gone, that is an error, and not overlooked.
    """

    def __init__(self, folder: Path, run: Run) -> None:
        """Raises MissingPackage. Nothing is made before the first figure is written."""
        self._event, self._checksum = _tensorboard()
        name = re.sub(r"[^A-Za-z0-9]+", "-", run.federation).strip("-")[:40]
        self.folder = folder / "-".join(filter(None, [name, run.federation_id[:16], run.peer_id[-11:]]))
        self._file: Path | None = None

    def written(self) -> set[tuple[str, int]]:
        """Read all files. The rest of a file behind a damaged record is left out, as TensorBoard itself does."""
        found: set[tuple[str, int]] = set()
        for path in sorted(self.folder.glob("events.out.tfevents.*")):
            with path.open("rb") as file, suppress(DecodeError):
                for data in self._records(file):
                    event = self._event.FromString(data)
                    found |= {(value.tag, event.step) for value in event.summary.value}
        return found

    def write(self, points: Sequence[Point]) -> None:
        """Append a record for each round."""
        now = time.time()
        events: dict[int, Any] = {}
        for point in points:
            event = events.setdefault(point.round, self._event(wall_time=now, step=point.round))
            event.summary.value.add(tag=point.name, simple_value=point.value)
        data = b"".join(self._framed(event.SerializeToString()) for event in events.values())
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        path = self._file
        if path is None:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            self.folder.mkdir(mode=0o700, exist_ok=True)
            path = self.folder / f"events.out.tfevents.{time.time_ns()}.coterie"
            flags |= os.O_CREAT | os.O_EXCL
            data = self._framed(self._event(wall_time=now, file_version="brain.Event:2").SerializeToString()) + data
        with open(os.open(path, flags, 0o600), "ab", buffering=0) as file:
            while data:
                data = data[file.write(data) :]
        self._file = path

    def _framed(self, data: bytes) -> bytes:
        """Return a record as it stands in the file: its length and the data, each with a checksum."""
        length = struct.pack("<Q", len(data))
        header = _HEADER.pack(len(data), self._checksum(length))
        return header + data + _CHECKSUM.pack(self._checksum(data))

    def _records(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield the data of all records up to the first one that was cut off."""
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, checksum = _HEADER.unpack(header)
            if checksum != self._checksum(header[:8]):
                return
            data = file.read(length)
            if len(data) < length or len(file.read(_CHECKSUM.size)) < _CHECKSUM.size:
                return
            yield data


# MLflow.


def _mlflow(uri: str) -> Any:
    """Return the package. It reports to nobody else, and leaves it to the peer to try again and to tell errors."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    waits = {"MAX_RETRIES": "0", "TIMEOUT": str(REQUEST_SECONDS)}
    for name, value in waits.items():
        os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "CRITICAL")  # its own lines may hold the URI with its password
    package = load("mlflow", "--mlflow", "mlflow")
    if not uri.startswith(tuple(f"{one}:" for one in _SERVERS)):
        for name in ("sqlalchemy", "alembic"):
            load_typing(name, "--mlflow with a database", "pip install mlflow")
    return package


class MlflowRun:
    """Writes to the run of this peer and federation in an experiment. Tags say which run that is."""

    def __init__(self, uri: str, experiment: str, run: Run) -> None:
        """Raises MissingPackage."""
        package = _mlflow(uri)
        self._client = package.MlflowClient(tracking_uri=uri)
        self._metric = package.entities.Metric
        self._experiment = experiment
        self._run = run
        self._run_id = ""

    def written(self) -> set[tuple[str, int]]:
        """Find or make the run, and read the rounds of each metric in it."""
        self._run_id = self._find() or self._make()
        names = self._client.get_run(self._run_id).data.metrics
        return {(name, metric.step) for name in names for metric in self._client.get_metric_history(self._run_id, name)}

    def write(self, points: Sequence[Point]) -> None:
        """Write in batches."""
        now_ms = int(time.time() * 1000)
        for start in range(0, len(points), BATCH_FIGURES):
            batch = points[start : start + BATCH_FIGURES]
            metrics = [self._metric(point.name, point.value, now_ms, point.round) for point in batch]
            self._client.log_batch(self._run_id, metrics=metrics)

    @property
    def _tags(self) -> dict[str, str]:
        return {"coterie.federation": self._run.federation_id, "coterie.peer": self._run.peer_id}

    def _find(self) -> str | None:
        found = self._client.get_experiment_by_name(self._experiment)
        if found is None:
            return None
        wanted = " and ".join(f"tags.`{name}` = '{value}'" for name, value in self._tags.items())
        oldest = ["attributes.start_time ASC"]
        runs = self._client.search_runs([found.experiment_id], wanted, max_results=1, order_by=oldest)
        return runs[0].info.run_id if runs else None

    def _make(self) -> str:
        found = self._client.get_experiment_by_name(self._experiment)
        number = self._client.create_experiment(self._experiment) if found is None else found.experiment_id
        made = self._client.create_run(number, tags=self._tags, run_name=self._run.federation)
        return str(made.info.run_id)
