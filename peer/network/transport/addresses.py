"""Where members can be reached: signed address records, and the book of them.

Members pass on the records of all members, so one address that works leads to all of them. A record is signed by the
member that it is about, so nobody can make one up for another member. A newer one (with a higher sequence number)
replaces an older one.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Final

import msgspec

from ....crypto.identity.identity import BadPeerId, Identity, peer_id, public_of, verify
from ....protocol.limits import MAX_MEMBERS

MAX_RECORD_BYTES: Final = 1024
MAX_RECORDS: Final = MAX_MEMBERS + MAX_MEMBERS // 2
"""Address records in one frame and in the book: of members, and of members that left."""

MAX_ADDRESSES: Final = 6
MAX_ADDRESS_CHARS: Final = 128
_DOMAIN: Final = b"coterie/1/address-record\x00"
_HOST_NAME: Final = re.compile(r"(?=.{1,96}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9-]+)*\.?\Z", re.ASCII)
_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_NAT64: Final = IPv6Network("64:ff9b::/96")
_HOW_TO_WRITE: Final = (
    "addresses look like /ip4/192.0.2.1/tcp/4001 or /dns/peer.example.org/tcp/4001, /p2p/12D3KooW… may follow"
)


class AddressError(ValueError):
    """A text that is no address we can dial; the message says why and how one looks."""


class BadRecord(ValueError):
    """An address record that is malformed or not signed by the member that it is about."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place to dial, and the member expected there (None: any peer)."""

    text: str
    member: bytes | None = None

    def __str__(self) -> str:
        return self.text if self.member is None else f"{self.text}/p2p/{peer_id(self.member)}"


def parse_address(text: str) -> Address:
    """The address that `text` denotes. Raises AddressError for anything but TCP by IP address or host name."""

    def wrong(reason: str) -> AddressError:
        return AddressError(f"{text[:MAX_ADDRESS_CHARS]!r}: {reason}; {_HOW_TO_WRITE}")

    if len(text) > MAX_ADDRESS_CHARS:
        raise wrong("too long")
    match text.rstrip("/").split("/"):
        case ["", family, host, "tcp", port, *rest]:
            pass
        case _:
            raise wrong("not a TCP multiaddr")
    try:
        match family:
            case "ip4":
                host = str(IPv4Address(host))
            case "ip6":
                host = str(IPv6Address(host))
            case "dns" | "dns4" | "dns6":
                if not _HOST_NAME.match(host):
                    raise wrong("not a host name")
            case _:
                raise wrong(f"unknown kind of address /{family}")
    except AddressValueError:
        raise wrong(f"{host!r} is not an address of kind /{family}") from None
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536):
        raise wrong("the port must be between 1 and 65535")
    try:
        match rest:
            case []:
                member = None
            case ["p2p", name]:
                member = public_of(name)
            case _:
                raise wrong(f"cannot dial through /{'/'.join(rest)}")
    except BadPeerId as error:
        raise wrong(str(error)) from None
    return Address(f"/{family}/{host}/tcp/{int(port)}", member)


def is_proper(text: str, may_be_loopback: bool) -> bool:
    """Whether to dial an IP address only because a member's record names it.

    Otherwise a member could make others connect to services of their own machines, to devices on their local link that
    need no password, or to whole groups of machines.
    """
    ip = _ip_of(text)
    if ip is not None and ip.is_loopback:
        return may_be_loopback
    if ip is None or ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False
    return not (isinstance(ip, IPv4Address) and ip in _THIS_NETWORK)


def is_loopback(text: str) -> bool:
    """Whether an address leads back to the machine that dials it."""
    ip = _ip_of(text)
    return text.split("/")[2] == "localhost" if ip is None else ip.is_loopback


def _ip_of(text: str) -> IPv4Address | IPv6Address | None:
    """The IP address in an address; the inner one if it is IPv6 that stands for IPv4; None for a name."""
    _, family, host, *_ = text.split("/")
    if family == "ip4":
        return IPv4Address(host)
    if family != "ip6":
        return None
    ip = IPv6Address(host)
    inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
    if inner is None and ip in _NAT64:
        inner = IPv4Address(int(ip) % 2**32)
    return inner or ip


class _Body(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    member: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**62)]
    addresses: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=MAX_ADDRESS_CHARS)], ...],
        msgspec.Meta(max_length=MAX_ADDRESSES),
    ]


class _Signed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    body: Annotated[bytes, msgspec.Meta(max_length=MAX_RECORD_BYTES)]
    signature: Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]


_signed = msgspec.msgpack.Decoder(_Signed)
_body = msgspec.msgpack.Decoder(_Body)


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """Where `member` says it can be reached; `encoded` carries its signature."""

    member: bytes
    sequence: int
    addresses: tuple[Address, ...]
    encoded: bytes


def sign_record(identity: Identity, addresses: Sequence[Address], sequence: int) -> AddressRecord:
    """Our own record: the first MAX_ADDRESSES of `addresses`; it replaces those with a lower `sequence`."""
    kept = tuple(Address(address.text, identity.public) for address in addresses[:MAX_ADDRESSES])
    body = msgspec.msgpack.encode(_Body(identity.public, sequence, tuple(address.text for address in kept)))
    encoded = msgspec.msgpack.encode(_Signed(body, identity.sign(_DOMAIN + body)))
    return AddressRecord(identity.public, sequence, kept, encoded)


def peek_record(encoded: bytes) -> tuple[bytes, int]:
    """(member, sequence) that a record claims, unverified: enough to see that it is not news. Raises BadRecord."""
    signed = _decode(encoded)
    return signed[1].member, signed[1].sequence


def claims_of(encoded: Iterable[bytes]) -> dict[bytes, tuple[int, bytes]]:
    """(sequence, record) by member, as the records of one frame claim, unverified.

    Raises BadRecord, also for two records of one member, since only the newer one would be of any use.
    """
    claims: dict[bytes, tuple[int, bytes]] = {}
    for one in encoded:
        member, sequence = peek_record(one)
        if member in claims:
            raise BadRecord("two address records of one member in a frame")
        claims[member] = (sequence, one)
    return claims


def open_record(encoded: bytes) -> AddressRecord:
    """Decode and verify a record. Raises BadRecord."""
    signed, body = _decode(encoded)
    if not verify(body.member, _DOMAIN + signed.body, signed.signature):
        raise BadRecord("an address record that its member did not sign")
    try:
        addresses = tuple(Address(parse_address(text).text, body.member) for text in body.addresses)
    except AddressError as error:
        raise BadRecord(str(error)) from None
    return AddressRecord(body.member, body.sequence, addresses, bytes(encoded))


def _decode(encoded: bytes) -> tuple[_Signed, _Body]:
    if len(encoded) > MAX_RECORD_BYTES:
        raise BadRecord(f"an address record of {len(encoded)} bytes")
    try:
        signed = _signed.decode(encoded)
        return signed, _body.decode(signed.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRecord(f"a malformed address record ({error})") from None


class AddressBook:
    """The newest record of each member that `wanted` names; never more than MAX_RECORDS."""

    def __init__(self, wanted: Callable[[bytes], bool]) -> None:
        self._wanted = wanted
        self._records: dict[bytes, AddressRecord] = {}

    def get(self, member: bytes) -> AddressRecord | None:
        """The newest record of `member`."""
        return self._records.get(member)

    def encoded(self) -> list[bytes]:
        """All records, as they are passed on and stored."""
        return [record.encoded for record in self._records.values()]

    def members(self) -> list[bytes]:
        """The members that the book has records of."""
        return list(self._records)

    def is_news(self, member: bytes, sequence: int) -> bool:
        """Whether a record of `member` with this number would be taken, if it is a good one."""
        known = self._records.get(member)
        return (known is None or known.sequence < sequence) and self._wanted(member)

    def add(self, encoded: bytes) -> AddressRecord | None:
        """Take a record. Returns it if it is news, None if it is old or unwanted. Raises BadRecord."""
        member, sequence = peek_record(encoded)
        if not self.is_news(member, sequence):
            return None
        record = open_record(encoded)
        if member not in self._records and len(self._records) >= MAX_RECORDS:
            self.forget_unwanted()
            if len(self._records) >= MAX_RECORDS:
                return None
        self._records[member] = record
        return record

    def add_all(self, encoded: Iterable[bytes]) -> list[AddressRecord]:
        """Take many records; returns the news among them.

        Raises BadRecord at the first bad one; those before it are taken.
        """
        return [record for item in encoded if (record := self.add(item)) is not None]

    def forget_unwanted(self) -> None:
        """Drop the records of members that are no longer wanted."""
        self._records = {member: record for member, record in self._records.items() if self._wanted(member)}
