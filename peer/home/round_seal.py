"""Vectors of one round, sealed under a key of that round, so that erasing the key erases them all.

A round leaves shares and updates of many megabytes behind. To overwrite them would double what the disk has to write.
Sealed under a fresh key, they are lost for good when its 32 bytes are erased. AES-256-GCM seals several gigabytes a
second, and its tag tells a damaged vector from a good one.
"""

import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Damaged(ValueError):
    """A sealed vector that does not open: altered, or of another round or place."""


class RoundSeal:
    """The seal of one round."""

    __slots__ = ("_aead",)

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, place: bytes, data: bytes) -> bytes:
        """Return nonce and ciphertext. ``place`` names the vector; opening it under another name fails."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, data, place)

    def open(self, place: bytes, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            Damaged: altered, or sealed for another place or round.
        """
        view = memoryview(sealed)
        try:
            return self._aead.decrypt(view[:_NONCE_BYTES], view[_NONCE_BYTES:], place)
        except (InvalidTag, ValueError):
            raise Damaged("a sealed vector does not open") from None

    def __repr__(self) -> str:
        return "<RoundSeal (secret)>"
