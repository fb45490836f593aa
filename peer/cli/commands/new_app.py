"""`peer new-app`: write a folder with an app that trains, as a start for the user's own."""

import argparse
import shlex
from contextlib import suppress
from pathlib import Path

from ...errors import PeerError
from ..arguments.shared_options import Subcommands
from ..arguments.values import path_name


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    from .app_skeletons import KINDS

    help = "write a folder with an app that trains, to begin your own with"
    command = subcommands.add_parser("new-app", help=help, description=help[0].upper() + help[1:] + ".")
    command.add_argument("kind", choices=sorted(KINDS), help="the package that the model is of")
    command.add_argument("folder", type=path_name, metavar="DIR", help="a new folder, or an empty one")
    command.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ...system.full_disk import DiskFull, told_if_full
    from .app_skeletons import FOUNDING, files_of

    folder = Path(given.folder)
    try:
        with told_if_full(folder):
            folder.mkdir(parents=True, exist_ok=True)
        present = sorted(path.name for path in folder.iterdir())
        if present:
            raise PeerError(f"{folder}: there is something in it already, such as {present[0]}; name a new folder")
        for name, text in files_of(given.kind).items():
            with told_if_full(folder / name):
                (folder / name).write_text(text, encoding="utf-8")
    except DiskFull:
        for name in files_of(given.kind):
            with suppress(OSError):
                (folder / name).unlink(missing_ok=True)
        raise
    except FileExistsError:
        raise PeerError(f"{folder}: this is a file; name a new folder") from None
    except OSError as error:
        raise PeerError(f"{folder}: cannot be written ({error.strerror}); name another folder") from None
    print(
        f"{folder}: made mymodel.py (an app with {given.kind}), made-up tables of three sites, and README.md."
        " To found a federation:"
    )
    print(f"cd {shlex.quote(str(folder))} && {FOUNDING}")
    return 0
