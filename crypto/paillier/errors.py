"""The errors of the Paillier modules. All are ValueErrors, for callers that need not tell them apart."""


class PaillierError(ValueError):
    """The cryptosystem does not accept a value."""


class BadModulus(PaillierError):
    """A modulus that is even, prime, a power, 3 mod 4, of another size than is allowed, or has a small factor."""


class BadEncoding(PaillierError):
    """Bytes that are not the encoding of the expected thing: another version, length or range."""


class WrongKey(PaillierError):
    """Ciphertexts, partial decryptions or shares that belong to another key, group or epoch."""


class BadPlaintext(PaillierError):
    """A plaintext outside [0, N), or values that do not fit their slots."""


class BadCiphertext(PaillierError):
    """A number that is no ciphertext under the key: 0, N² or more, or with a factor in common with N."""


class BadPacking(PaillierError):
    """A decrypted plaintext that no sum of so many packed vectors can give."""


class BadGroup(PaillierError):
    """Public values of a threshold key that do not belong together."""


class NotAgreed(PaillierError):
    """Ciphertexts other than those whose opening was agreed on, or claims that were made for another place."""


class NotConfirmed(PaillierError):
    """A new key that too few of its holders have confirmed, or a share of a key that is not in force."""


class NotProved(PaillierError):
    """A sum that the claims of its contributors do not prove."""


class RunBefore(PaillierError):
    """A session that this party has begun before: no session is run twice."""


class BadProof(PaillierError):
    """A proof that does not hold for the statement, federation, epoch and sender that it is checked for."""


class BadPartial(PaillierError):
    """A wrong partial decryption, which is its holder's fault (counted from 0)."""

    def __init__(self, holder: int, reason: str) -> None:
        super().__init__(f"holder {holder}: {reason}")
        self.holder = holder
        self.reason = reason


class BadDealing(PaillierError):
    """A share of an exponent that does not fit its dealer's commitments. The dealer is counted from 0."""

    def __init__(self, dealer: int, reason: str) -> None:
        super().__init__(f"dealer {dealer}: {reason}")
        self.dealer = dealer
        self.reason = reason


class TooFewPartials(PaillierError):
    """Fewer correct partial decryptions than open a sum; `liars` holds the wrong ones."""

    def __init__(self, correct: int, needed: int, liars: tuple[BadPartial, ...]) -> None:
        super().__init__(f"{correct} correct partial decryptions where {needed} are needed")
        self.liars = liars
