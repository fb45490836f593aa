"""The one kind of public key that this process parses: Ed25519, in its one encoding of 36 bytes.

libp2p reads RSA and secp256k1 keys of any caller, before any check and on the event loop. An RSA key of 50 kB
keeps pycryptodome busy for 13 seconds, and a private key in OpenSSH's format for as long as its sender likes. Peers of
Coterie have Ed25519 keys only, so `close_parsers` takes the other parsers out of the whole process: handshakes,
PeerIds, signed peer records and DHT records all end there.
"""

import sys
from collections.abc import Callable
from typing import Any, Final, NoReturn

from libp2p.crypto import rsa, secp256k1, serialization
from libp2p.crypto.ed25519 import Ed25519PublicKey
from libp2p.crypto.keys import KeyType
from libp2p.records import pubkey
from libp2p.records import utils as record_utils

KEY_BYTES: Final = 36
_PREFIX: Final = b"\x08\x01\x12\x20"
"""Protobuf: field 1, the type, is Ed25519; field 2 has 32 bytes."""


class ForeignKey(ValueError):
    """A key of a kind that no peer of Coterie has, or in an encoding that none uses."""


def public_key(data: bytes) -> bytes:
    """Return the 32 bytes of an encoded Ed25519 key. Raises ForeignKey for everything else, at once."""
    if len(data) != KEY_BYTES or not data.startswith(_PREFIX):
        raise ForeignKey("a key that is no Ed25519 key")
    return bytes(data[len(_PREFIX) :])


def _parse(data: bytes) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_bytes(public_key(data))


def _refuse(*_: Any) -> NoReturn:
    raise ForeignKey("a key that is no Ed25519 key")


def close_parsers() -> None:
    """Leave libp2p no parser but that of Ed25519 public keys. Does no harm when repeated."""
    for kind in (
        rsa.RSAPublicKey,
        rsa.RSAPrivateKey,
        secp256k1.Secp256k1PublicKey,
        secp256k1.Secp256k1PrivateKey,
    ):
        # libp2p also parses by class, as in signed peer records.
        setattr(kind, "from_bytes", staticmethod(_refuse))  # noqa: B010
        setattr(kind, "deserialize", staticmethod(_refuse))  # noqa: B010
    serialization.key_type_to_public_key_deserializer = {KeyType.Ed25519.value: Ed25519PublicKey.from_bytes}
    serialization.key_type_to_private_key_deserializer = {}
    for stock in (
        serialization.deserialize_public_key,
        pubkey.unmarshal_public_key,
        record_utils._unmarshal_public_key,
    ):
        _replace(stock, _parse)
    _replace(serialization.deserialize_private_key, _refuse)


def _replace(stock: Callable[..., Any], ours: Callable[..., Any]) -> None:
    """Put `ours` in the place of `stock` in every module of libp2p that has imported it by name."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "libp2p":
            for attribute in [one for one, value in vars(module).items() if value is stock]:
                setattr(module, attribute, ours)
