"""Known dealings, and files with one fault each. What a dealer sends must not change within a version."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.crypto.field import P
from coterie.crypto.sharing.dealing import BadShare, Commitment, Terms, check, deal

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "dealing"
ANSWERS = sorted(VECTORS.glob("answer-*.json"))
FAULTS = sorted(VECTORS.glob("fault-*.json"))


def terms_of(case: dict[str, Any]) -> Terms:
    return Terms(case["holders"], case["threshold"], case["columns"], case["dealer"], tuple(case["seeded"]))


def commitment_of(case: dict[str, Any]) -> Commitment:
    return Commitment(bytes.fromhex(case["root"]), bytes.fromhex(case["fingerprints"]))


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_known_dealings_are_dealt_again(path: Path) -> None:
    case = json.loads(path.read_text())
    secrets = np.array(case["secrets"], dtype=np.uint64)
    dealt = deal(bytes.fromhex(case["context"]), terms_of(case), secrets, bytes.fromhex(case["seed"]))
    assert dealt.commitment == commitment_of(case)
    assert [share.hex() for share in dealt.shares] == case["shares"]


@pytest.mark.parametrize("path", ANSWERS, ids=lambda path: path.stem)
def test_known_dealings_are_accepted_and_open_in_plain_integers(path: Path) -> None:
    case = json.loads(path.read_text())
    terms = terms_of(case)
    rows = [
        check(bytes.fromhex(case["context"]), terms, j, commitment_of(case), bytes.fromhex(share)).tolist()
        for j, share in enumerate(case["shares"])
    ]
    xs = range(terms.holders - terms.threshold + 1, terms.holders + 1)  # the last K holders
    opened = [0] * terms.columns
    for x in xs:
        weight = 1
        for other in xs:
            if other != x:
                weight = weight * other * pow(other - x, -1, P) % P
        opened = [(total + weight * value) % P for total, value in zip(opened, rows[x - 1], strict=True)]
    assert opened == case["secrets"]


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: path.stem)
def test_a_file_with_one_fault_raises_the_error_that_it_names(path: Path) -> None:
    case = json.loads(path.read_text())
    assert case["error"] == "BadShare"
    share = bytes.fromhex(case["share"])
    with pytest.raises(BadShare) as raised:
        check(bytes.fromhex(case["context"]), terms_of(case), case["holder"], commitment_of(case), share)
    assert (raised.value.reason, raised.value.provable) == (case["reason"], case["provable"])


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ANSWERS) >= 3
    assert len(FAULTS) >= 15
