"""Which requests may read the page: those with the right Host, no foreign Origin, and the token if there is one.

A page of another site can make a browser send requests to this address, also under a name of its own that it points
here (DNS rebinding). Such a request carries the foreign name in ``Host``, or a foreign ``Origin``. There are no
cookies, and nothing can be changed here, so reading is all that has to be kept from it.
"""

import base64
import binascii
import hmac
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from ..home.page_address import PageAddress

_HOST: Final = re.compile(r"(?:\[(?P<six>[0-9a-f:.]+)\]|(?P<name>[a-z0-9.-]+))(?::[0-9]{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: the status, and what to do about it."""

    status: int
    text: str


class Guard:
    """Judges requests by their headers, whose names are in lower case."""

    def __init__(self, place: PageAddress, token: str | None) -> None:
        self._is_loopback = place.is_loopback
        self._token = None if token is None else token.encode()
        self._names = {"localhost"}
        if not self._is_loopback:
            self._names.add(socket.gethostname().lower())

    def refuse(self, headers: Mapping[str, str], *, is_open: bool) -> Refusal | None:
        """Return why a request is refused; None if it is not. ``is_open``: it needs no token."""
        host = headers.get("host", "").lower()
        if not self._knows(host):
            return Refusal(421, "this address is not served under the name in Host; open it as localhost or by its IP")
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}"):
            return Refusal(403, "requests from pages of other origins are not answered")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_opened(headers):
            return Refusal(403, "requests from pages of other sites are not answered")
        if self._token is None or is_open:
            return None
        if not any(hmac.compare_digest(one, self._token) for one in _told(headers.get("authorization", ""))):
            return Refusal(401, "the token of --page-token-file is needed, as password or as bearer token")
        return None

    def _knows(self, host: str) -> bool:
        """Whether a Host means this peer: it is one of our names, or an IP address.

        Somebody else could point a name here, but no address in digits. On the loopback interface it has to be a
        loopback address, each of which is ours.
        """
        match = _HOST.fullmatch(host)
        if match is None:
            return False
        if match["name"] in self._names:
            return True
        try:
            address = ip_address(match["six"] or match["name"])
        except ValueError:
            return False
        return address.is_loopback or not self._is_loopback


def _is_opened(headers: Mapping[str, str]) -> bool:
    """Whether a user follows a link to here: what comes back is shown alone, and the other site cannot read it."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _told(authorization: str) -> list[bytes]:
    """The secret that a request brings, if any: a bearer token, or the password of any user."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return [value.strip().encode()]
    if scheme.lower() == "basic":
        try:
            return [base64.b64decode(value.strip(), validate=True).partition(b":")[2]]
        except (binascii.Error, ValueError):
            return []
    return []
