"""The files of tests/vectors/paillier: one fault each, and the error that it must raise."""

import json
from pathlib import Path
from typing import Any

import pytest

from coterie.crypto.paillier import errors, keys
from coterie.crypto.paillier.claims import Claim, Contributors, check_claim
from coterie.crypto.paillier.encryption import Encrypted, decrypt, encrypt
from coterie.crypto.paillier.group import Group
from coterie.crypto.paillier.keys import PublicKey, generate
from coterie.crypto.paillier.proofs import check_knowledge
from coterie.crypto.paillier.rounds.statements import Equivocation
from coterie.crypto.paillier.threshold import Agreed, Partial, check_partial

KINDS = ("key", "ciphertexts", "partial", "group", "knowledge", "claim", "evidence", "contributors")
FILES = sorted((Path(__file__).resolve().parents[2] / "vectors" / "paillier").glob("*.json"))


def read(case: dict[str, Any]) -> object:
    """Decode and check what the file holds, as a receiver would."""
    data = bytes.fromhex(case["data"])
    if case["kind"] == "key":
        return PublicKey.from_bytes(data)
    if case["kind"] == "group":
        return Group.from_bytes(data)
    if case["kind"] == "ciphertexts":
        return Encrypted.from_bytes(PublicKey.from_bytes(bytes.fromhex(case["key"])), data)
    if case["kind"] == "knowledge":
        key = PublicKey.from_bytes(bytes.fromhex(case["key"]))
        encrypted = Encrypted.from_bytes(key, bytes.fromhex(case["ciphertexts"]))
        return check_knowledge(encrypted, data, bytes.fromhex(case["context"]))
    if case["kind"] == "evidence":
        found = Equivocation.from_bytes(data)
        if found is None or not found.holds():
            raise errors.BadProof("it convicts nobody")
        return found
    if case["kind"] == "contributors":
        return contexts_are_right(case, data)
    if case["kind"] == "claim":
        claim = Claim.from_bytes(PublicKey.from_bytes(bytes.fromhex(case["key"])), data)
        return check_claim(claim, bytes.fromhex(case["challenge"]), bytes.fromhex(case["context"]))
    group = Group.from_bytes(bytes.fromhex(case["group"]))
    encrypted = Encrypted.from_bytes(group.key, bytes.fromhex(case["ciphertexts"]))
    agreed = Agreed(bytes(32), case["epoch"], encrypted.digest)
    return check_partial(group, encrypted, agreed, Partial.from_bytes(group, data, case["sender"]))


def contexts_are_right(case: dict[str, Any], context: bytes) -> object:
    """Compare what claims are bound to with what was computed without the library."""
    dealings = {bytes.fromhex(member): bytes.fromhex(dealing) for member, dealing in case["dealings"].items()}
    group = Group.from_bytes(bytes.fromhex(case["group"]))
    made = Contributors(bytes.fromhex(case["federation"]), case["round"], case["epoch"], group, dealings)
    assert made.context == context
    assert {member.hex(): made.context_of(member).hex() for member in dealings} == case["contexts"]
    return made


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_is_accepted_or_raises_the_error_that_it_names(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEY_BITS", (2048, 3072))
    case = json.loads(path.read_text())
    if case["error"] is None:
        read(case)
        return
    with pytest.raises(errors.PaillierError) as caught:
        read(case)
    assert type(caught.value) is getattr(errors, case["error"])


def test_every_kind_has_a_file_that_is_accepted() -> None:
    assert {path.stem for path in FILES if path.stem.endswith("-valid")} == {f"{kind}-valid" for kind in KINDS}


def test_keys_and_ciphertexts_of_a_seed_stay_what_they_were() -> None:
    key_case, case = (json.loads(path.read_text()) for path in FILES if path.stem in {"key-valid", "ciphertexts-valid"})
    case, key_case = (key_case, case) if "plaintexts" in key_case else (case, key_case)
    seed = bytes.fromhex(case["seed"])
    private = generate(seed)
    assert private.public.to_bytes().hex() == key_case["data"]
    plaintexts = [int(m, 16) for m in case["plaintexts"]]
    encrypted = encrypt(private.public, plaintexts, seed)
    assert encrypted.to_bytes().hex() == case["data"]
    assert decrypt(private, encrypted) == plaintexts
