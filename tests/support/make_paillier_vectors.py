"""Writes tests/vectors/paillier: one fault a file, with the error that it must raise."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import gmpy2
from nacl.signing import SigningKey
from parties import proved

from coterie.crypto.paillier.claims import claim_fingerprint
from coterie.crypto.paillier.encryption import Encrypted, encrypt
from coterie.crypto.paillier.group import deal
from coterie.crypto.paillier.keys import PublicKey, generate
from coterie.crypto.paillier.proofs import prove_knowledge
from coterie.crypto.paillier.threshold import Agreed, partial_decrypt

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "paillier"
SEED = b"known answers: 32 bytes of seed."
CONTEXT = b"known answers: context"
PLAINTEXTS = [5, 2**2000 + 1]


def write(name: str, what: str, kind: str, data: bytes, error: str | None, **more: object) -> None:
    """One file."""
    content = {"what": what, "kind": kind, "error": error, "data": data.hex(), **more}
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def raw_key(modulus: int) -> bytes:
    return b"\x01" + int(modulus).to_bytes(-(-int(modulus).bit_length() // 8), "big")


def keys(key: PublicKey) -> None:
    data = key.to_bytes()
    write("key-valid", "a modulus of 2048 bits", "key", data, None, seed=SEED.hex())
    write("key-even", "N + 1", "key", raw_key(key.modulus + 1), "BadModulus")
    prime = gmpy2.next_prime(gmpy2.mpz(3) << 1022)
    write("key-square", "the square of a prime", "key", raw_key(prime * prime), "BadModulus")
    write("key-prime", "a prime", "key", raw_key(gmpy2.next_prime(gmpy2.mpz(3) << 2046)), "BadModulus")
    small = gmpy2.mpz(1048573)
    large = gmpy2.next_prime((gmpy2.mpz(3) << 2046) // small)
    write("key-small-factor", "1048573 times a prime (CVE-2023-33241)", "key", raw_key(small * large), "BadModulus")
    short = gmpy2.next_prime(gmpy2.mpz(3) << 510) * gmpy2.next_prime(gmpy2.mpz(7) << 509)
    write("key-short", "a good modulus of 1024 bits", "key", raw_key(short), "BadEncoding")
    write(
        "key-leading-zero", "2047 bits", "key", b"\x01" + (int(key.modulus) >> 1 | 1).to_bytes(256, "big"), "BadModulus"
    )
    third = gmpy2.next_prime(gmpy2.mpz(3) << 1022)
    while third % 4 != 3:
        third = gmpy2.next_prime(third)
    first = gmpy2.next_prime(gmpy2.mpz(7) << 1021)
    while first % 4 != 1:
        first = gmpy2.next_prime(first)
    write("key-residue", "factors that are 3 and 1 mod 4", "key", raw_key(third * first), "BadModulus")
    write("key-version", "another version", "key", b"\x02" + data[1:], "BadEncoding")
    write("key-truncated", "a byte missing", "key", data[:-1], "BadEncoding")
    write("key-trailing", "a byte too many", "key", data + b"\0", "BadEncoding")


def ciphertexts(key: PublicKey, encrypted: Encrypted) -> None:
    data, more = encrypted.to_bytes(), {"key": key.to_bytes().hex()}

    def with_second(value: int) -> bytes:
        return data[: -key.ciphertext_bytes] + int(value).to_bytes(key.ciphertext_bytes, "big")

    write(
        "ciphertexts-valid", "two ciphertexts", "ciphertexts", data, None, **more, seed=SEED.hex(),
        plaintexts=[f"{m:x}" for m in PLAINTEXTS],
    )  # fmt: skip
    write("ciphertexts-zero", "the second is 0", "ciphertexts", with_second(0), "BadCiphertext", **more)
    write("ciphertexts-square", "the second is N²", "ciphertexts", with_second(key.square), "BadCiphertext", **more)
    above = encrypted.values[1] + key.square
    if above.bit_length() > 4096:
        above = key.square + 1
    write("ciphertexts-above", "the second is above N²", "ciphertexts", with_second(above), "BadCiphertext", **more)
    write(
        "ciphertexts-factor", "the second is 3N", "ciphertexts", with_second(3 * key.modulus), "BadCiphertext", **more
    )
    changed = data[:1] + bytes([data[1] ^ 1]) + data[2:]
    write("ciphertexts-other-key", "another key's id", "ciphertexts", changed, "WrongKey", **more)
    write("ciphertexts-version", "another version", "ciphertexts", b"\0" + data[1:], "BadEncoding", **more)
    counted = data[:36] + b"\x03" + data[37:]
    write("ciphertexts-count", "a count of three", "ciphertexts", counted, "BadEncoding", **more)
    write("ciphertexts-truncated", "a byte missing", "ciphertexts", data[:-1], "BadEncoding", **more)
    write("ciphertexts-trailing", "a byte too many", "ciphertexts", data + b"\0", "BadEncoding", **more)


def partials() -> None:
    private = generate(SEED)
    group, shares = deal(private, 2, 3, SEED)
    encrypted = encrypt(group.key, PLAINTEXTS, SEED)
    agreed = Agreed(bytes(32), 7, encrypted.digest)
    part = partial_decrypt(group, shares[1], proved(group, encrypted, epoch=7), agreed, SEED)
    more = {"group": group.to_bytes().hex(), "ciphertexts": encrypted.to_bytes().hex(), "epoch": 7, "sender": 1}

    def made(name: str, what: str, data: bytes, error: str | None, **other: object) -> None:
        write(f"partial-{name}", what, "partial", data, error, **{**more, **other})

    data = part.to_bytes(group)
    made("valid", "holder 1 of 3", data, None)
    made("epoch", "of another epoch", data, "BadPartial", epoch=8)
    made("version", "another version", b"\x02" + data[1:], "BadEncoding")
    made("group", "another group's id", data[:1] + bytes(32) + data[33:], "WrongKey")
    made("trailing", "a byte too many", data + b"\0", "BadEncoding")
    made("sender", "sent by holder 2 as its own", replace(part, holder=2).to_bytes(group), "BadPartial", sender=2)
    made("stranger", "sent by holder 3 of 3", replace(part, holder=3).to_bytes(group), "BadPartial", sender=3)
    made("framing", "sent by holder 2 in the name of holder 1", data, "BadPartial", sender=2)
    first, second = part.values
    swapped = replace(part, values=(second, first))
    made("swapped", "the values in another order", swapped.to_bytes(group), "BadPartial")
    negated = replace(part, values=(group.key.square - first, second))
    negated_statement = "the first value with its sign changed and an old proof"
    made("negated", negated_statement, negated.to_bytes(group), "BadPartial")
    made("zero", "the first value is 0", replace(part, values=(0, second)).to_bytes(group), "BadPartial")
    missing = replace(part, values=(first,))
    made("missing", "one value instead of two", missing.to_bytes(group), "BadPartial")
    others = encrypt(group.key, PLAINTEXTS, SEED[::-1])
    made("replayed", "for other ciphertexts", data, "BadPartial", ciphertexts=others.to_bytes().hex())

    group_data = group.to_bytes()
    write("group-valid", "two of three", "group", group_data, None)
    write("group-threshold", "four of three", "group", group_data[:2] + b"\x04" + group_data[3:], "BadGroup")
    write("group-one", "one of three", "group", group_data[:2] + b"\x01" + group_data[3:], "BadGroup")
    write("group-trailing", "a byte too many", "group", group_data + b"\0", "BadEncoding")
    keys_at = len(group_data) - 3 * 512
    exchanged = group_data[:keys_at] + group_data[keys_at + 512 : keys_at + 1024] + group_data[keys_at : keys_at + 512]
    write("group-exchanged", "two verification keys exchanged", "group", exchanged + group_data[-512:], "BadGroup")


def knowledge(encrypted: Encrypted) -> None:
    proof = prove_knowledge(encrypted, PLAINTEXTS, SEED, CONTEXT)
    more = {"key": encrypted.key.to_bytes().hex(), "ciphertexts": encrypted.to_bytes().hex(), "context": CONTEXT.hex()}

    def made(name: str, what: str, data: bytes, error: str | None, **other: object) -> None:
        write(f"knowledge-{name}", what, "knowledge", data, error, **{**more, **other})

    made("valid", "of both plaintexts", proof, None)
    made("context", "for another sender", proof, "BadProof", context=CONTEXT[::-1].hex())
    made("trailing", "a byte too many", proof + b"\0", "BadProof")
    made("challenge", "another challenge", bytes([proof[0] ^ 1]) + proof[1:], "BadProof")
    beyond = proof[:16] + b"\xff" * 256 + proof[272:]
    made("range", "a response above N", beyond, "BadProof")


def claims(encrypted: Encrypted) -> None:
    challenge = b"known answers: challenge"
    claim = claim_fingerprint(encrypted, PLAINTEXTS, SEED, challenge, CONTEXT)
    key = encrypted.key
    more = {"key": key.to_bytes().hex(), "challenge": challenge.hex(), "context": CONTEXT.hex()}

    def made(name: str, what: str, data: bytes, error: str | None, **other: object) -> None:
        write(f"claim-{name}", what, "claim", data, error, **{**more, **other})

    data = claim.to_bytes()
    made("valid", "of two ciphertexts", data, None)
    made("context", "of another sender", data, "BadProof", context=CONTEXT[::-1].hex())
    made("challenge", "under another challenge", data, "BadProof", challenge=challenge[::-1].hex())
    made("trailing", "a byte too many", data + b"\0", "BadEncoding")
    made("several", "two ciphertexts for a fingerprint", encrypted.to_bytes() + claim.proof, "BadEncoding")
    value = claim.fingerprint.values[0]
    false = replace(claim, fingerprint=Encrypted(key, (value * (1 + key.modulus) % key.square,)))
    made("false", "the fingerprint of something else", false.to_bytes(), "BadProof")
    zero = replace(claim, fingerprint=Encrypted(key, (0,)))
    made("zero", "the fingerprint is 0", zero.to_bytes(), "BadCiphertext")


def hashed(domain: bytes, *parts: bytes) -> bytes:
    """SHA-256 as the library takes it, written down a second time: nothing below here uses the library."""
    whole = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hashlib.sha256(b"coterie/1/paillier|" + domain + whole).digest()


def evidence() -> None:
    """Two statements of one member, by SHA-256 and Ed25519 alone."""
    member, other = SigningKey(SEED), SigningKey(SEED[::-1])

    def said(public: bytes, run: bytes = b"r" * 32, number: int = 3, signer: SigningKey = member) -> bytes:
        place, hashes = number.to_bytes(4, "big"), (hashed(b"public", public), hashed(b"echo", b""))
        message = b"coterie/1/paillier statement\0" + hashed(b"statement", run, place, *hashes)
        return run + place + b"".join(hashes) + signer.sign(message).signature

    def made(name: str, what: str, second: bytes, error: str | None, first: bytes = b"") -> None:
        data = member.verify_key.encode() + (first or said(b"one")) + second
        write(f"evidence-{name}", what, "evidence", data, error)

    made("valid", "two public parts in one round", said(b"two"), None)
    made("same", "twice the same statement", said(b"one"), "BadProof")
    made("run", "two public parts in two runs", said(b"two", run=b"s" * 32), "BadProof")
    made("round", "two public parts in two rounds", said(b"two", number=4), "BadProof")
    made("greeting", "two greetings", said(b"two", number=0), "BadProof", said(b"one", number=0))
    made("forged", "the second one signed by another member", said(b"two", signer=other), "BadProof")
    made("truncated", "a byte missing", said(b"two")[:-1], "BadProof")
    made("trailing", "a byte too many", said(b"two") + b"\0", "BadProof")


def contributors(group: bytes) -> None:
    """What claims are bound to, by SHA-256 alone."""
    federation, members = bytes(range(32)), [bytes([i]) * 32 for i in (9, 3, 6)]
    dealings, place = {member: hashlib.sha256(member).digest() for member in members}, (7).to_bytes(8, "big")
    rows = [member + dealings[member] for member in sorted(members)]
    context = hashed(b"contributors", federation, place + (2).to_bytes(8, "big"), hashed(b"group", group), *rows)
    of_each = {m.hex(): hashed(b"contributor", context, m, dealings[m]).hex() for m in members}
    write(
        "contributors-valid", "three, in round 7 with the key of epoch 2", "contributors", context, None,
        federation=federation.hex(), round=7, epoch=2, group=group.hex(), contexts=of_each,
        dealings={member.hex(): dealing.hex() for member, dealing in dealings.items()},
    )  # fmt: skip


def main() -> None:
    """Write all files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    key = generate(SEED).public
    encrypted = encrypt(key, PLAINTEXTS, SEED)
    keys(key)
    ciphertexts(key, encrypted)
    partials()
    knowledge(encrypted)
    claims(encrypted)
    evidence()
    contributors(deal(generate(SEED), 2, 3, SEED)[0].to_bytes())


if __name__ == "__main__":
    main()
