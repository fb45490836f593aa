"""A seed at rest: the bytes of a key file, optionally sealed with a passphrase. This module touches no file.

A key file is four lines of ASCII that a person can recognise:

    coterie key file 1
    peer 12D3KooW…                              the peer of this key, readable without the passphrase
    seal none | argon2id OPS KIBIBYTES SALT
    seed HEX                                    the seed, or SecretBox(key, nonce 0, seed)

**Sealing.** The key is Argon2id(passphrase, SALT), as in RFC 9106, with libsodium's parameters. It seals the seed with
XSalsa20-Poly1305, so the file gives an attacker nothing better than guessing the passphrase, at one run of Argon2id a
guess.

**No randomness is needed.** SALT is HMAC-SHA512(seed, domain || passphrase) cut to 16 bytes. The seed is 32 uniform
secret bytes, so SALT is pseudorandom to everybody without the seed (HMAC as a pseudorandom function): it says nothing
about seed and passphrase, and any two pairs of these have the same SALT with probability 2^-128 only. So each key
encrypts one plaintext only, and the fixed nonce repeats only in identical files.
"""

import hmac
import re
import unicodedata
from contextlib import suppress
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from .identity import SEED_BYTES, Identity

__all__ = ["KeyFileError", "is_sealed", "open_seed", "seal_seed"]

_MAX_FILE_BYTES: Final = 1024
_DOMAIN: Final = b"coterie/1/keyfile"
_NONCE: Final = bytes(bindings.crypto_secretbox_NONCEBYTES)

# A guess takes about half a second and 256 MiB.
_OPS: Final = argon2id.OPSLIMIT_MODERATE
_MEMORY_KIB: Final = argon2id.MEMLIMIT_MODERATE // 1024
# The most that a file may ask for when it is opened: a hostile file must not exhaust the machine.
_MAX_OPS: Final = 16
_MAX_MEMORY_KIB: Final = 1 << 20

_FORMAT: Final = re.compile(
    r"coterie key file 1\n"
    r"peer (?P<peer>[1-9A-HJ-NP-Za-km-z]{52})\n"
    r"seal (?:none|argon2id (?P<ops>[1-9][0-9]{0,9}) (?P<memory>[1-9][0-9]{0,9}) (?P<salt>[0-9a-f]{32}))\n"
    r"seed (?P<seed>[0-9a-f]+)\n"
)


class KeyFileError(ValueError):
    """A key file that cannot be made or opened. The message says why and contains no secret."""


def seal_seed(seed: bytes, passphrase: str | None = None) -> bytes:
    """The bytes of the key file for a 32-byte seed. Without a passphrase they contain the seed in the clear.

    The same arguments give the same bytes.

    Raises:
        ValueError: the seed has another length.
        KeyFileError: the passphrase is empty, or there is too little memory (256 MiB) to seal with one.
    """
    peer = Identity.from_seed(seed).peer_id
    if passphrase is None:
        return _render(peer, "none", seed)
    phrase = _normal(passphrase)
    salt = hmac.digest(seed, _DOMAIN + phrase, "sha512")[: argon2id.SALTBYTES]
    key = _stretch(phrase, salt, _OPS, _MEMORY_KIB)
    box = bindings.crypto_secretbox(bytes(seed), _NONCE, key)
    return _render(peer, f"argon2id {_OPS} {_MEMORY_KIB} {salt.hex()}", box)


def open_seed(data: bytes, passphrase: str | None = None) -> bytes:
    """The 32-byte seed of a key file.

    Raises:
        KeyFileError: the file is damaged or asks for too much memory or time, or the passphrase is wrong, missing, or
            given for a file that is not sealed.
    """
    fields = _parse(data)
    body = bytes.fromhex(fields["seed"])
    if fields["salt"] is None:
        if passphrase is not None:
            raise KeyFileError("the key file is not sealed; open it without a passphrase")
        seed = body
    else:
        if passphrase is None:
            raise KeyFileError("the key file is sealed; a passphrase is needed")
        ops, memory_kib = int(fields["ops"]), int(fields["memory"])
        if ops > _MAX_OPS or memory_kib > _MAX_MEMORY_KIB:
            raise KeyFileError(
                f"the key file asks for {ops} passes over {memory_kib} KiB; "
                f"at most {_MAX_OPS} over {_MAX_MEMORY_KIB} are done"
            )
        key = _stretch(_normal(passphrase), bytes.fromhex(fields["salt"]), ops, memory_kib)
        seed = _unlock(body, key)
    if len(seed) != SEED_BYTES or Identity.from_seed(seed).peer_id != fields["peer"]:
        raise KeyFileError("the key file is damaged: its seed is not that of the peer it names")
    return seed


def is_sealed(data: bytes) -> bool:
    """Whether a passphrase is needed to open this key file.

    Raises:
        KeyFileError: the bytes are no key file.
    """
    return _parse(data)["salt"] is not None


def _render(peer: str, seal: str, body: bytes) -> bytes:
    return f"coterie key file 1\npeer {peer}\nseal {seal}\nseed {body.hex()}\n".encode("ascii")


def _parse(data: bytes) -> re.Match[str]:
    """The fields by name. Those of Argon2id are None in a file that is not sealed."""
    match = None
    if len(data) <= _MAX_FILE_BYTES:
        match = _FORMAT.fullmatch(data.decode("latin-1"))
    if match is None or len(match["seed"]) % 2:
        raise KeyFileError("not a coterie key file, or a damaged one")
    return match


def _normal(passphrase: str) -> bytes:
    """The passphrase as bytes, the same for all ways in which keyboards compose a letter (Unicode's NFC)."""
    if not passphrase:
        raise KeyFileError("a passphrase must not be empty")
    return unicodedata.normalize("NFC", passphrase).encode("utf-8")


def _stretch(phrase: bytes, salt: bytes, ops: int, memory_kib: int) -> bytes:
    with suppress(CryptoError, ValueError, MemoryError):
        return argon2id.kdf(bindings.crypto_secretbox_KEYBYTES, phrase, salt, ops, memory_kib * 1024)
    raise KeyFileError(f"Argon2id with {ops} passes over {memory_kib} KiB of memory is not possible here")


def _unlock(box: bytes, key: bytes) -> bytes:
    with suppress(CryptoError, ValueError):
        return bindings.crypto_secretbox_open(box, _NONCE, key)
    raise KeyFileError("the passphrase is wrong, or the key file is damaged")
