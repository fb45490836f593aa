"""`peer id`: print the PeerId by which others will know this peer; make its key first if there is none."""

import argparse
from typing import TYPE_CHECKING

from ...errors import Exit
from ..arguments.shared_options import Subcommands, add_command, add_json, home_of, print_json
from ..arguments.values import path_name

if TYPE_CHECKING:
    from ...home.folder import Home


def register(subcommands: Subcommands) -> None:
    """Add the command."""
    command = add_command(subcommands, "id", "print the PeerId of this home, for a roster; make its key first", run)
    command.epilog = "A PeerId is no secret: send it to the founder. The key stays in the home."
    command.add_argument(
        "--passphrase-file", type=path_name, metavar="FILE", help="seals a new key; - asks on the terminal"
    )
    add_json(command)


def run(given: argparse.Namespace) -> int:
    """Carry the command out."""
    from ....crypto.identity.identity import peer_id

    home = home_of(given)
    public = home.public_key() or _made(home, given.passphrase_file)
    if given.json:
        print_json({"id": peer_id(public), "home": str(home.folder)})
    else:
        print(peer_id(public))
    return Exit.OK


def _made(home: "Home", passphrase_file: str | None) -> bytes:
    """Make the key of a home that has none.

    Raises:
        HomeError: the home cannot be used.
        KeyProblem: the key cannot be written or read, or the home is in a federation and has lost its key.
    """
    from ...home.facts import GENESIS
    from ...home.folder import KeyProblem, missing_key, passphrase_source
    from ...home.store import FILE_NAME, Reader

    home.prepare()
    with home.locked():
        if not home.key_path.exists() and (home.folder / FILE_NAME).exists():
            with Reader.open(home.folder) as reader:
                if reader.fact(GENESIS) is not None:
                    raise KeyProblem(missing_key(home))
        return home.identity(passphrase_source(passphrase_file)).public
