"""The options of `peer start`, kept in the home, so that `peer start --home H` alone goes on the same way.

Every option has one field here with its default; the options that accept a scheme share one. An option that is given
explicitly replaces what was kept.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...protocol.ledger.privacy import PROMISES
from ...protocol.scheme_registry import DEFAULT_SCHEME
from ..errors import Exit, PeerError
from .page_address import check_page

FOUNDING: Final = (
    "federation",
    "admit",
    "roster",
    "min_peers",
    "rounds",
    "patience",
    "min_delta",
    "scheme",
    "threshold",
    "clip",
    "norm",
    "examples_cap",
    "round_interval",
    "share_deadline",
    "round_time",
    "view_timeout",
    "evict_after",
    "no_evict",
    "levels",
    "gaps",
    "median",
    "levels_from",
    "class_weights",
    "learning_rate",
    "steps",
    "batch",
)
"""Options that the founder fixes for everybody, in the genesis block."""

MIN_DELTA: Final = 1e-6
"""The smallest ``--min-delta``, since the genesis counts in millionths."""

_SEARCHING: Final = ("bootstrap", "invite", "join", "mdns", "dht", "join_timeout")
"""Options that say where to look for a federation, and for how long."""

FLOWER_APP: Final = "coterie.apps.flower:FlowerApp"
"""The app that ``--flower`` stands for."""

_TABLE: Final = (
    "target",
    "model",
    "columns",
    "ignore",
    "levels",
    "gaps",
    "median",
    "levels_from",
    "test_fraction",
    "hidden",
    "classes",
    "class_weights",
    "learning_rate",
    "steps",
    "batch",
    "seed",
)
"""Options that say what to do with a table, beside --data itself."""


def allowing(scheme: str) -> str:
    """Return the name of the setting with which an operator accepts a scheme."""
    return f"allow_{scheme}".replace("-", "_")


def schemes_to_accept() -> list[str]:
    """Return the schemes that a member's operator has to accept first."""
    return [name for name, promise in PROMISES.items() if promise.needs_consent]


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of `peer start`; durations in seconds."""

    name: str = ""
    listen: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/0",)
    announce: tuple[str, ...] = ()
    bootstrap: tuple[str, ...] = ()
    invite: str | None = None
    mdns: bool = False
    join: bool = False
    continues: str | None = None
    accepted: tuple[str, ...] = ()
    """The schemes that this operator has accepted, of those that need it; each is kept under its own option's name."""
    allow_threshold: int = 0
    """The smallest K below the default that the operator accepts; 0: none."""
    dht: tuple[str, ...] = ()
    dht_listen: str = "/ip4/0.0.0.0/tcp/0"
    heartbeat: float = 2.0
    dead_after: float = 6.0
    join_timeout: float = 0.0
    linger: float = 60.0
    stay: bool = False
    page: str = ""
    """Where the page is served; empty: nowhere."""
    page_token_file: str | None = None
    tensorboard: str = ""
    """The folder into which figures are written for TensorBoard; empty: none."""
    mlflow: str = ""
    """The MLflow server or database to which figures are written; empty: none. It may hold a password."""
    mlflow_experiment: str = ""
    mlflow_own_figures: bool = False
    passphrase_file: str | None = None

    data: str | None = None
    target: str | None = None
    model: str | None = None
    """A founder's default is linear; a joiner takes the federation's."""
    columns: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    """Columns of categories, each alone or with its levels, as COLUMN=A,B."""
    gaps: str | None = None
    """Columns of numbers and dates that may have gaps, as A,B; empty for all."""
    levels_from: tuple[str, ...] = ()
    """Files with the names of levels of other sites."""
    median: tuple[str, ...] = ()
    """Columns of numbers whose gaps stand as the median, each with the edges of its bins, as COLUMN=A,B."""
    test_fraction: float = 0.2
    hidden: tuple[int, ...] = ()
    classes: tuple[str, ...] = ()
    class_weights: tuple[str, ...] = ()
    """How much a row of a class counts in training, each as CLASS=WEIGHT."""
    learning_rate: float | None = None
    steps: int | None = None
    batch: int | None = None
    seed: int = 0
    app: str | None = None
    app_folder: str | None = None
    """The folder in which ``--app`` was typed, or that of the Flower project. Modules are looked for there."""
    node_config: str = ""
    """The configuration of this node for Flower, as key=value pairs."""

    federation: str = "coterie"
    admit: str = "invite"
    roster: str | None = None
    min_peers: int = 3
    rounds: int = 0
    patience: int = 0
    """Rounds in a row without a better loss that end the training; 0: none do."""
    min_delta: float = 0.0
    scheme: str = DEFAULT_SCHEME
    threshold: int = 0
    clip: float = 4.0
    norm: str = "off"
    """The bound of an update's norm, which each dealing proves: a number, auto or off."""
    examples_cap: int = 0
    round_interval: float = 0.0
    share_deadline: float = 60.0
    round_time: float = 0.0
    """How long each member trains in a round; 0: as much as the model asks for."""
    view_timeout: float = 3.0
    evict_after: int = 1000
    no_evict: bool = False

    def with_given(self, given: Mapping[str, Any]) -> "Settings":
        """Return these settings with those replaced that were given explicitly.

        A table and an app replace each other, and so do columns to use and columns to ignore. Turning the page off
        drops its token, another MLflow (or none) is not told the own figures unasked, and an app that is no project
        of Flower drops the configuration of the node.
        """
        known = {one.name for one in dataclasses.fields(self)}
        values = {name: value for name, value in given.items() if name in known}
        answers = {one: given.get(allowing(one), one in self.accepted) for one in schemes_to_accept()}
        values["accepted"] = tuple(one for one, is_accepted in answers.items() if is_accepted)
        for one, other in (("data", "app"), ("app", "data")):
            if values.get(one) is not None:
                values.setdefault(other, None)
        for one, other in (("columns", "ignore"), ("ignore", "columns")):
            if values.get(one):
                values.setdefault(other, ())
        if values.get("app", FLOWER_APP) != FLOWER_APP:
            values.setdefault("node_config", "")
        if values.get("page") == "":
            values.setdefault("page_token_file", None)
        if values.get("mlflow", self.mlflow) != self.mlflow:
            values.setdefault("mlflow_own_figures", False)
        if values.get("mlflow") == "":
            values.setdefault("mlflow_experiment", "")
        return dataclasses.replace(self, **values)

    @property
    def app_name(self) -> str | None:
        """The name of the app in messages; None for a table."""
        return Path(self.app_folder or "").name if self.app == FLOWER_APP else self.app

    @property
    def app_option(self) -> str:
        """The option that names the app, as it is typed."""
        return f"--flower {self.app_name}" if self.app == FLOWER_APP else f"--app {self.app}"

    @property
    def joins(self) -> bool:
        """Whether there is a federation to join; otherwise one is founded."""
        return bool(self.join or self.bootstrap or self.invite)

    def encode(self) -> bytes:
        """Return the settings as JSON."""
        kept = dataclasses.asdict(self)
        del kept["accepted"]
        kept |= {allowing(one): one in self.accepted for one in schemes_to_accept()}
        return json.dumps(kept, sort_keys=True).encode()


def check_settings(settings: Settings) -> None:
    """Check options that constrain each other.

    Raises:
        PeerError: they contradict each other.
    """
    if settings.dead_after < 2 * settings.heartbeat:
        raise PeerError(
            f"--dead-after {settings.dead_after:g}: at least twice the --heartbeat of {settings.heartbeat:g} seconds,"
            " or a single late heartbeat would end a link"
        )
    if settings.min_delta and not settings.patience:
        raise PeerError(f"--min-delta {settings.min_delta:g}: only with --patience, which says how many rounds to wait")
    if 0 < settings.min_delta < MIN_DELTA:
        raise PeerError(f"--min-delta {settings.min_delta:g}: at least {MIN_DELTA:f}, or 0")
    if settings.columns and settings.ignore:
        raise PeerError("--columns and --ignore: one or the other; all columns but those of --columns are ignored")
    check_page(settings.page, settings.page_token_file)
    if not settings.mlflow and settings.mlflow_experiment:
        raise PeerError(f"--mlflow-experiment {settings.mlflow_experiment}: only with --mlflow")
    if not settings.mlflow and settings.mlflow_own_figures:
        raise PeerError("--mlflow-own-figures: only with --mlflow")
    if settings.dht_listen != Settings().dht_listen and not settings.dht:
        raise PeerError(f"--dht-listen {settings.dht_listen}: only with --dht")
    if settings.continues is not None and not settings.joins:
        raise PeerError(f"--continues {settings.continues}: only to join; a founder goes on with `peer refound`")
    if settings.node_config and settings.app != FLOWER_APP:
        raise PeerError(f"--node-config {settings.node_config}: only with --flower, for the project's own code")
    if settings.app is not None and settings.data is not None:
        raise PeerError(
            f"{settings.app_option} and --data {Path(settings.data).name}: one or the other; your own model reads its"
            " data itself"
        )


def check_way_in(settings: Settings) -> None:
    """Check that a peer that joins, and knows no member yet, is told where to look for one.

    Raises:
        PeerError: it would wait for ever.
    """
    if not settings.joins or settings.bootstrap or settings.invite or settings.mdns:
        return
    if settings.dht:
        raise PeerError("--join --dht needs --invite TOKEN: the DHT finds a federation by the id that an invite names")
    raise PeerError(
        "--join needs --mdns, --bootstrap ADDR or --invite TOKEN: nothing says where to look for the federation"
    )


def kept_search(given: Mapping[str, Any], kept: Settings) -> list[str]:
    """Return the options that an earlier start left and that say where to look for a federation, as they are typed."""
    told = []
    for name in _SEARCHING:
        value = getattr(kept, name)
        if name in given or value == getattr(Settings(), name):
            continue
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            told.append(option)
        elif isinstance(value, tuple):
            told += [f"{option} {one}".rstrip() for one in value]
        else:
            told.append(f"{option} {value:g}" if isinstance(value, float) else f"{option} …")  # an invite is a secret
    return told


def check_table_options(given: Mapping[str, Any], settings: Settings) -> None:
    """Check that no option is for tables if an app trains.

    Raises:
        PeerError: some options would do nothing; the message names them.
    """
    idle = _options(_TABLE, given)
    if settings.app is not None and idle:
        are = "this is" if len(idle) == 1 else "these are"
        raise PeerError(
            f"{', '.join(idle)}: {are} for tables and would do nothing with {settings.app_option}, whose own code says"
            " how it trains; leave out, or give --data"
        )


def read_settings(data: bytes | None) -> Settings:
    """Return the kept settings; the defaults if none were kept.

    Raises:
        PeerError: they are damaged, or were kept by a newer version.
    """
    if data is None:
        return Settings()
    try:
        kept = json.loads(data)
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()
        }
        accepted = tuple(one for one in schemes_to_accept() if values.pop(allowing(one), False))
        return Settings(accepted=accepted, **values)
    except (ValueError, TypeError, AttributeError) as error:
        raise PeerError(
            f"the settings kept in this home cannot be read ({error}); upgrade Coterie, or use a new --home",
            Exit.STORE,
        ) from None


def founding_options(given: Mapping[str, Any]) -> list[str]:
    """Return those of the given options that only a founder chooses, as they are typed."""
    return _options(FOUNDING, given)


def _options(names: Sequence[str], given: Mapping[str, Any]) -> list[str]:
    """Return those of ``names`` that were given, as they are typed."""
    return [f"--{name.replace('_', '-')}" for name in names if name in given]


def changed_founding_options(given: Mapping[str, Any], kept: Settings) -> list[str]:
    """Return the options that were given, differ from what was kept, and cannot be changed any more."""
    return founding_options({name: value for name, value in given.items() if value != getattr(kept, name, value)})
