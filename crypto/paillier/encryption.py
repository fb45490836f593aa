"""Vectors of Paillier ciphertexts: encrypt, add, decrypt, check and write down, many at a time.

A ciphertext of m is (1 + N)^m · h^(N·a) mod N², a of half the bits of N. It hides m if N-th residues mod N² cannot be
told from other numbers (decisional composite residuosity) and if powers of h with short exponents cannot be told from
those with long ones, which follows from factoring being hard (Goldreich and Rosen, "On the security of modular
exponentiation with application to the construction of pseudorandom generators", J. Cryptology 2003).

A ciphertext is malleable: anybody can add to it or give it another blinding. A receiver of ciphertexts therefore asks
each member for a proof that it knows its plaintexts (`proofs.prove_knowledge`). The sender of a copy cannot give one.

**All cores.** This package starts no thread. The functions cut their work into chunks and run them through `spread`,
which takes a function and an iterable as `map` does, for example the `map` of a `ThreadPoolExecutor` or
`ProcessPoolExecutor`. Chunks of `encrypt` and `add` may go to other processes. Those of decryption hold secrets that
are not pickled, and let other threads run while they compute. `progress(done, total)` is called from the caller's
thread after each chunk.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

import gmpy2

from ..prng import derive
from .arithmetic import Draws, digest, gcd, join, number, size_of, split
from .errors import BadCiphertext, BadEncoding, BadPlaintext, WrongKey
from .keys import KEY_ID_BYTES, SEED_BYTES, PrivateKey, PublicKey

CHUNK: Final = 64  # ciphertexts: some 50 ms of work
MAX_CIPHERTEXTS: Final = 2**24  # in one vector; 8 GB at 2048 bits

_VERSION: Final = b"\x01"
_COUNT_BYTES: Final = 4
_HEADER_BYTES: Final = 1 + KEY_ID_BYTES + _COUNT_BYTES

Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]


class Spread(Protocol):
    """The function that runs the chunks: `map`, or the `map` of an executor. Results come in the order of the jobs."""

    def __call__(self, function: Callable[[Job], Result], jobs: Iterable[Job], /) -> Iterable[Result]:
        """The function's results, one for each job, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Encrypted:
    """Ciphertexts under one key, each valid if made by `encrypt`, `add`, `received` or `from_bytes`.

    The constructor checks nothing: values from elsewhere go through `received` or `from_bytes`.
    """

    key: PublicKey
    values: tuple[int, ...] = field(repr=False)

    @classmethod
    def received(cls, key: PublicKey, values: Sequence[int]) -> "Encrypted":
        """Ciphertexts from elsewhere, checked. Raises BadCiphertext, naming the first value that is none."""
        for i, value in enumerate(values):
            if not 0 < value < key.square:
                raise BadCiphertext(f"ciphertext {i} is not between 0 and N²")
        product = number(1)
        for value in values:
            product = product * value % key.modulus
        if gcd(product, key.modulus) != 1:
            i = next(i for i, value in enumerate(values) if gcd(value, key.modulus) != 1)
            raise BadCiphertext(f"ciphertext {i} has a factor in common with N")
        return cls(key, tuple(number(value) for value in values))

    @property
    def digest(self) -> bytes:
        """32 bytes that name these ciphertexts."""
        return digest(b"ciphertexts", self.to_bytes())

    def to_bytes(self) -> bytes:
        """A version byte, the key's id, the count in 4 bytes, then each ciphertext in bits/4 bytes."""
        header = _VERSION + self.key.key_id + len(self.values).to_bytes(_COUNT_BYTES, "big")
        return header + join(self.values, self.key.ciphertext_bytes)

    @classmethod
    def from_bytes(cls, key: PublicKey, data: bytes) -> "Encrypted":
        """What `to_bytes` wrote, checked. Raises BadEncoding, WrongKey or BadCiphertext."""
        if data[:1] != _VERSION or len(data) < _HEADER_BYTES:
            raise BadEncoding("not Paillier ciphertexts of a known version")
        if data[1 : 1 + KEY_ID_BYTES] != key.key_id:
            raise WrongKey("the ciphertexts are under another key")
        count = int.from_bytes(data[_HEADER_BYTES - _COUNT_BYTES : _HEADER_BYTES], "big")
        if count > MAX_CIPHERTEXTS or len(data) != _HEADER_BYTES + count * key.ciphertext_bytes:
            raise BadEncoding(f"{len(data)} bytes for {count} ciphertexts")
        body = memoryview(data)[_HEADER_BYTES:]
        return cls.received(key, split(body, key.ciphertext_bytes, 1 << (8 * key.ciphertext_bytes)))


@dataclass(frozen=True, slots=True, repr=False)
class _Chunk:
    """Plaintexts to encrypt and where they stand in their vector. Secret."""

    key: PublicKey
    plaintexts: Sequence[int]
    first: int
    root: bytes


def encrypt(
    key: PublicKey,
    plaintexts: Sequence[int],
    seed: bytes,
    *,
    spread: Spread = map,
    progress: Progress | None = None,
) -> Encrypted:
    """Encrypt numbers in [0, N).

    The blinding follows from the seed, 32 secret random bytes, and from the plaintexts. So a seed used twice by mistake
    does not show the difference of two plaintexts. Raises BadPlaintext, naming the first number out of range, and
    ValueError for a seed of another length.
    """
    root = blinding_root(key, plaintexts, seed)
    chunks = [_Chunk(key, plaintexts[i : i + CHUNK], i, root) for i in range(0, len(plaintexts), CHUNK)]
    done: list[int] = []
    for values in spread(_encrypt_chunk, chunks):
        done += values
        if progress is not None:
            progress(len(done), len(plaintexts))
    return Encrypted(key, tuple(done))


def encrypt_as_owner(private: PrivateKey, plaintexts: Sequence[int], seed: bytes) -> Encrypted:
    """Encrypt with the factors of N: the blinding is uniform among all N-th residues, and needs no table."""
    key = private.public
    draws = Draws(blinding_root(key, plaintexts, seed), b"owner")
    return Encrypted(key, tuple((1 + m * key.modulus) * private.residue(draws) % key.square for m in plaintexts))


def blinding_root(key: PublicKey, plaintexts: Sequence[int], seed: bytes) -> bytes:
    """The seed of the blinding of these plaintexts, 32 secret bytes. Raises as `encrypt` does."""
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, not {len(seed)}")
    for i, plaintext in enumerate(plaintexts):
        if not 0 <= plaintext < key.modulus:
            raise BadPlaintext(f"plaintext {i} is not in [0, N)")
    return derive(seed, digest(b"plaintexts", key.key_id, join(plaintexts, size_of(key.modulus))))


def blinding_bits(key: PublicKey) -> int:
    """The length of the exponents that hide plaintexts: half that of N."""
    return key.bits // 2


def blinding_exponent(key: PublicKey, root: bytes, i: int) -> int:
    """The exponent a that hides plaintext i."""
    return Draws(root, b"blinding %d" % i).bits(blinding_bits(key))


def _encrypt_chunk(chunk: _Chunk) -> list[int]:
    key, table = chunk.key, chunk.key.blinding()
    with gmpy2.context(gmpy2.get_context(), allow_release_gil=True):
        return [
            (1 + m * key.modulus) * table.power(blinding_exponent(key, chunk.root, i)) % key.square
            for i, m in enumerate(chunk.plaintexts, chunk.first)
        ]


def add(summands: Sequence[Encrypted], *, spread: Spread = map, progress: Progress | None = None) -> Encrypted:
    """The ciphertexts of the sums, mod N, element by element.

    Raises WrongKey for summands under different keys and ValueError for none or for vectors of different lengths.
    """
    if not summands:
        raise ValueError("there is nothing to add")
    key, length = summands[0].key, len(summands[0].values)
    if any(summand.key != key for summand in summands):
        raise WrongKey("the summands are under different keys")
    if any(len(summand.values) != length for summand in summands):
        raise ValueError("the summands have different lengths")
    wide = 16 * CHUNK  # an addition takes a hundredth of the time of an encryption
    jobs = [(key.square, [s.values[i : i + wide] for s in summands]) for i in range(0, length, wide)]
    done: list[int] = []
    for values in spread(_add_chunk, jobs):
        done += values
        if progress is not None:
            progress(len(done), length)
    return Encrypted(key, tuple(done))


def _add_chunk(job: tuple[int, list[tuple[int, ...]]]) -> list[int]:
    modulus, rows = job
    with gmpy2.context(gmpy2.get_context(), allow_release_gil=True):
        totals = list(rows[0])
        for row in rows[1:]:
            totals = [a * b % modulus for a, b in zip(totals, row, strict=True)]
        return totals


def decrypt(
    private: PrivateKey, encrypted: Encrypted, *, spread: Spread = map, progress: Progress | None = None
) -> list[int]:
    """The plaintexts, in [0, N). Raises WrongKey for ciphertexts under another key."""
    if encrypted.key != private.public:
        raise WrongKey("the ciphertexts are under another key")
    values = encrypted.values
    chunks = [list(values[i : i + CHUNK]) for i in range(0, len(values), CHUNK)]
    done: list[int] = []
    for plaintexts in spread(private.decrypt, chunks):
        done += plaintexts
        if progress is not None:
            progress(len(done), len(values))
    return done
