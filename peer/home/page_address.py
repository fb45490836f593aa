"""Where the page is served, and the token that another interface than the loopback one needs."""

import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from ..errors import PeerError
from ..network.address_text import listen_place

OFF: Final = "off"
MIN_TOKEN_CHARS: Final = 20
MAX_TOKEN_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class PageAddress:
    """An IP address of this machine and a port; port 0 is any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine reach it."""
        return ip_address(self.host).is_loopback

    @property
    def url(self) -> str:
        """What a browser of this machine opens."""
        at = ip_address(self.host)
        host = ("127.0.0.1" if at.version == 4 else "::1") if at.is_unspecified else self.host
        return f"http://[{host}]:{self.port}/" if at.version == 6 else f"http://{host}:{self.port}/"


def page_place(text: str) -> PageAddress:
    """Read "127.0.0.1:8650", "localhost:8650", "[::1]:8650" or the port alone, which is one of the loopback interface.

    Raises:
        PeerError: it is none of these.
    """
    if text.startswith("/"):
        raise PeerError(f"--page {text}: write a port or HOST:PORT, such as 127.0.0.1:8650")
    host, colon, port = text.rpartition(":")
    if not colon or host == "localhost":
        text = f"127.0.0.1:{port}"
    elif not host:
        raise PeerError(f"--page {text}: name one of this machine's IP addresses, or give the port alone")
    _, _, host, _, port = listen_place(text, "--page").split("/")
    return PageAddress(host, int(port))


def check_page(text: str, token_file: str | None) -> None:
    """Check what both options say together.

    Raises:
        PeerError: anybody in the network could read the page; or there is a token, and no page.
    """
    if not text:
        if token_file is not None:
            raise PeerError(f"--page-token-file {token_file}: only with --page, which says where the page is served")
        return
    if token_file is None and not page_place(text).is_loopback:
        raise PeerError(
            f"--page {text}: whoever reaches this address could read the page; serve it on 127.0.0.1, or give"
            " --page-token-file FILE with a secret that readers have to know"
        )


def read_token(file: str) -> str:
    """Return the secret in a file, without the white space around it.

    Raises:
        PeerError: it cannot be read, others can read it, or it is too easy to guess.
    """
    path = Path(file).expanduser()
    try:
        with path.open("rb") as opened:
            data, mode = opened.read(MAX_TOKEN_BYTES + 1), path.stat().st_mode
        token = data.decode("ascii").strip()
    except OSError as error:
        raise PeerError(f"--page-token-file {file}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise PeerError(f"--page-token-file {file}: a token is of printable ASCII characters") from None
    if stat.S_IMODE(mode) & 0o077:
        raise PeerError(f"--page-token-file {file}: other users can read or change it; type: chmod 600 {file}")
    if not MIN_TOKEN_CHARS <= len(token) <= MAX_TOKEN_BYTES or not token.isprintable() or " " in token:
        raise PeerError(
            f"--page-token-file {file}: a token has {MIN_TOKEN_CHARS} to {MAX_TOKEN_BYTES} printable characters and no"
            f" spaces; make one: openssl rand -hex 24 > {file}"
        )
    return token
