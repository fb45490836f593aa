"""`peer start`: found a federation, join one, or go on with the one in this home."""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....protocol.ledger.privacy import PROMISES
from ....protocol.limits import MAX_MEMBERS
from ....protocol.scheme_registry import DEFAULT_SCHEME, SCHEMES
from ..arguments.shared_options import Subcommands, add_class_weights, add_command, add_inputs, add_json, home_of
from ..arguments.values import (
    DAY_SECONDS,
    count,
    counts,
    duration,
    fraction,
    members,
    name,
    norm,
    number,
    path_name,
    positive,
    seconds,
    whole,
    words,
)

if TYPE_CHECKING:
    from ...errors import Exit
    from ...system.stop_signals import StopSignals

_LIST = {"action": "append", "metavar": "ADDR"}
_EITHER = argparse.BooleanOptionalAction
"""For options that the home keeps: `--no-…` takes the option back."""


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "start", "found a federation, join one, or go on in this home", run)
    # An option that is not given must be absent from what is parsed: then the one kept from the last start holds.
    command.argument_default = argparse.SUPPRESS
    command.epilog = "Options are kept in the home; the next `peer start --home DIR` alone goes on with them."
    _joining_options(command.add_argument_group("joining (without these, a federation is founded)"))
    _data_options(command.add_argument_group("data and model"))
    _founding_options(command.add_argument_group("founding (fixed for everybody in the genesis block)"))
    _running_options(command.add_argument_group("running"))
    add_json(command, "print events as JSON lines")


def _joining_options(group: Any) -> None:
    group.add_argument("--bootstrap", **_LIST, help="address of any member, HOST:PORT or a multiaddr (repeatable)")
    group.add_argument(
        "--invite", nargs="+", metavar="TOKEN", help="token from a member's `peer invite`; pieces are joined"
    )
    group.add_argument("--join", action=_EITHER, help="join whatever federation --mdns finds")
    group.add_argument(
        "--join-timeout",
        type=seconds(0, 30 * DAY_SECONDS),
        metavar="S",
        help="give up after S seconds (default: never)",
    )
    group.add_argument(
        "--continues",
        type=path_name,
        metavar="DIR",
        help="this peer's home in the federation that this one continues, to compare them",
    )
    for scheme, promise in PROMISES.items():
        if promise.needs_consent:
            accept = f"take part although {promise.sentence}"
            group.add_argument(f"--allow-{scheme}", action=_EITHER, help=accept)
    group.add_argument(
        "--allow-threshold",
        type=whole(0, MAX_MEMBERS),
        metavar="K",
        help="accept a federation where K shares open a sum, fewer than the default (0: refuse)",
    )


def _data_options(group: Any) -> None:
    group.add_argument(
        "--data", type=path_name, metavar="FILE.csv", help="this peer's own table; it never leaves the machine"
    )
    group.add_argument("--target", metavar="COLUMN", help="column to predict (a founder's choice)")
    group.add_argument("--model", choices=("linear", "mlp", "logistic"), help="default: linear")
    add_inputs(group)
    group.add_argument("--test-fraction", type=fraction, metavar="F", help="rows kept for testing (0.2)")
    group.add_argument("--hidden", type=counts, metavar="N[,N]", help="units of an mlp's hidden layers (64)")
    group.add_argument("--classes", type=words, metavar="A,B,…", help="all class labels that there can be")
    add_class_weights(group)
    rate = "of the local training at all members (0.1; linear: 0.02; smaller for wide tables and networks)"
    group.add_argument("--learning-rate", type=positive, metavar="R", help=rate)
    steps = "steps of the local training a round, at all members (50; mlp: 200)"
    group.add_argument("--steps", type=count, metavar="N", help=steps)
    batch = "smallest batch of the local training, at all members (64)"
    group.add_argument("--batch", type=count, metavar="ROWS", help=batch)
    group.add_argument("--seed", type=whole(0), metavar="N", help="of the choice of test rows (0)")
    own = group.add_mutually_exclusive_group()
    own.add_argument("--app", metavar="MODULE:OBJECT", help="your own model instead of a table")
    own.add_argument("--flower", type=path_name, metavar="DIR", help="a Flower project instead of a table")
    node = "this site's own settings for the project, such as 'partition-id=0 num-partitions=3'"
    group.add_argument("--node-config", metavar="PAIRS", help=node)


def _founding_options(group: Any) -> None:
    group.add_argument("--federation", type=name, metavar="NAME", help="name of the federation")
    group.add_argument("--admit", choices=("invite", "open", "roster"), help="who may join (default: invite)")
    group.add_argument("--roster", type=path_name, metavar="FILE", help="PeerIds that may join, one a line")
    group.add_argument("--min-peers", type=members, metavar="N", help="members that training waits for (3)")
    group.add_argument("--rounds", type=count, metavar="N", help="rounds to train (default: until stopped)")
    patience = "end training after N rounds in a row without a better loss (default: never)"
    group.add_argument("--patience", type=count, metavar="N", help=patience)
    delta = "a loss is better if it is smaller than the best one by more than this part of it (0)"
    group.add_argument("--min-delta", type=fraction, metavar="F", help=delta)
    group.add_argument("--scheme", choices=tuple(SCHEMES), help=f"how updates are summed ({DEFAULT_SCHEME})")
    group.add_argument("--threshold", type=members, metavar="K", help="shares that open a sum (default: n - 2f)")
    group.add_argument("--clip", type=number(2**-20, 2**20), metavar="C", help="bound of an update's parameters (4)")
    bound = (
        "bound of an update's length, which each dealing then proves: auto (it follows the updates), a number, or off;"
        " for up to 40 members (off)"
    )
    group.add_argument("--norm", type=norm, metavar="C", help=bound)
    cap = "maximum number of examples a member is weighted by (default: 4x the founder's)"
    group.add_argument("--examples-cap", type=count, metavar="N", help=cap)
    group.add_argument(
        "--round-interval", type=seconds(0, 30 * DAY_SECONDS), metavar="S", help="rest between rounds (0)"
    )
    group.add_argument(
        "--share-deadline", type=seconds(0.01, DAY_SECONDS), metavar="S", help="longest wait for updates (60)"
    )
    by_time = (
        "how long each member trains in a round, as much as it can, such as 45s or 30m; at most three quarters of the"
        " --share-deadline (default: by --steps)"
    )
    group.add_argument("--round-time", type=duration(0.01, DAY_SECONDS), metavar="T", help=by_time)
    group.add_argument(
        "--view-timeout", type=seconds(0.01, DAY_SECONDS), metavar="S", help="wait for an aggregator (3)"
    )
    group.add_argument(
        "--evict-after", type=whole(0), metavar="N", help="missed rounds in a row until removal (1000; 0: never)"
    )
    group.add_argument("--no-evict", action="store_true", help="name members that provably cheat, but keep them")


def _running_options(group: Any) -> None:
    group.add_argument("--name", type=name, help="how the others see this peer (default: the machine's name)")
    group.add_argument(
        "--listen", **_LIST, help="port, HOST:PORT or multiaddr to listen on (default: any free port, then kept)"
    )
    group.add_argument("--announce", **_LIST, help="address at which others reach this peer, behind a NAT")
    group.add_argument("--mdns", action=_EITHER, help="announce this peer and find others on the local network")
    dht = "find peers through the DHT node /ip4/…/tcp/…/p2p/… (repeatable); without NODE, start a new DHT"
    group.add_argument("--dht", action="append", nargs="?", const="", metavar="NODE", help=dht)
    group.add_argument("--dht-listen", metavar="ADDR", help="port or address of this peer's DHT node (any free port)")
    group.add_argument("--heartbeat", type=seconds(0.1, 3600), metavar="S", help="between heartbeats (2)")
    group.add_argument("--dead-after", type=seconds(0.2, DAY_SECONDS), metavar="S", help="silence that ends a link (6)")
    group.add_argument(
        "--linger", type=seconds(0, 30 * DAY_SECONDS), metavar="S", help="longest stay after the last round (60)"
    )
    group.add_argument("--stay", action=_EITHER, help="stay after the last round, for latecomers")
    group.add_argument(
        "--passphrase-file", type=path_name, metavar="FILE", help="of the identity key; - asks on the terminal"
    )
    page = "serve this peer's page at [HOST:]PORT, such as 127.0.0.1:8650; off stops serving it"
    group.add_argument("--page", type=page_option, metavar="[HOST:]PORT", help=page)
    token = "secret that readers of the page have to know; needed for other places than the loopback interface"
    group.add_argument("--page-token-file", type=path_name, metavar="FILE", help=token)
    _tracking_options(group)
    # These hold for one run and are not kept in the home: the log begins before the home is open, so that it also
    # has what goes wrong until then.
    group.add_argument("--log", metavar="LEVEL", choices=("debug", "info", "warning"), help="log to stderr")
    log_file = "log to this file as well, with all that the peer tells; it may be rotated (not kept in the home)"
    group.add_argument("--log-file", type=path_name, metavar="FILE", help=log_file)
    log_json = "log a JSON object a line, to --log-file or else to stderr (not kept in the home)"
    group.add_argument("--log-json", action="store_true", help=log_json)


def _tracking_options(group: Any) -> None:
    folder = "write the figures of each round there for TensorBoard (default: off; off: not any more)"
    group.add_argument("--tensorboard", type=folder_option, metavar="DIR", help=folder)
    server = "write them to this MLflow server or database, such as http://127.0.0.1:5000 (default: off)"
    group.add_argument("--mlflow", type=mlflow_option, metavar="URI", help=server)
    group.add_argument("--mlflow-experiment", type=name, metavar="NAME", help="the experiment there (Coterie)")
    own = "also write the figures over this site's own test rows there (default: no)"
    group.add_argument("--mlflow-own-figures", action=_EITHER, help=own)


def folder_option(text: str) -> str:
    """Read the folder for TensorBoard as a full path; "off" gives an empty text, which means none."""
    from ...tracking.trackers import OFF

    return "" if text == OFF else str(Path(path_name(text)).expanduser().absolute())


def mlflow_option(text: str) -> str:
    """Read the URI of an MLflow server or database; "off" gives an empty text, which means none.

    Raises:
        argparse.ArgumentTypeError: it is no such URI.
    """
    from ...errors import PeerError
    from ...tracking.trackers import OFF, mlflow_uri

    try:
        return "" if text == OFF else mlflow_uri(text)
    except PeerError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--mlflow: ")) from None


def page_option(text: str) -> str:
    """Read the place where the page is served; "off" gives an empty text, which means no page.

    Raises:
        argparse.ArgumentTypeError: the page cannot be served there.
    """
    from ...errors import PeerError
    from ...home.page_address import OFF, page_place

    if text == OFF:
        return ""
    try:
        page_place(text)
    except PeerError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("--page ")) from None
    return text


def run(given: argparse.Namespace) -> "int | Exit":
    """Carry the command out."""
    from ...errors import Exit
    from ...system.stop_signals import StoppedEarly, heeding

    with heeding() as asked:
        try:
            return _run(given, asked)
        except StoppedEarly:
            print("peer: stopped before it had begun", file=sys.stderr)
            return Exit.OK


def _run(given: argparse.Namespace, asked: "StopSignals") -> int:
    from ...home.settings import FLOWER_APP
    from ...runtime.process import run_peer

    options = {option: value for option, value in vars(given).items() if option not in ("run", "home", "json")}
    for repeatable in ("bootstrap", "listen", "announce", "dht", "levels", "median", "levels_from"):
        if repeatable in options:
            options[repeatable] = tuple(options[repeatable])
    if "invite" in options:
        # Without quotes the shell makes several words of a token that a mail program broke into lines.
        options["invite"] = "".join("".join(options["invite"]).split())
    for file in ("data", "roster", "continues", "passphrase_file", "page_token_file"):
        if options.get(file, "-") != "-":
            # Options are kept, and the next start may be in another folder.
            options[file] = str(Path(options[file]).expanduser().absolute())
    if "levels_from" in options:
        options["levels_from"] = tuple(str(Path(file).expanduser().absolute()) for file in options["levels_from"])
    if "app" in options:
        options["app_folder"] = os.getcwd()
    if "flower" in options:
        options |= {"app": FLOWER_APP, "app_folder": str(Path(options.pop("flower")).expanduser().absolute())}
    return run_peer(home_of(given), options, given.json, asked)
