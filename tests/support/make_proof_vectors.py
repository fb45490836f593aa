"""Writes tests/vectors/proof: a known dealing of four holders, byte for byte."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from proving import CONTEXT, SEED, columns_of, vector_of

from coterie.crypto.proof.prover import prove
from coterie.crypto.proof.terms import Terms

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "proof"
TERMS = Terms(holders=4, threshold=2, dealer=1, update_columns=3, wide_sums=3, reference=512)


def main() -> None:
    """Write it."""
    vector = vector_of(TERMS, columns_of([1, -2, 300_000, -400_000, 5, 0]))
    proved = prove(CONTEXT, TERMS, vector, 300, 300, SEED)
    case = {
        "context": CONTEXT.hex(),
        "terms": asdict(TERMS),
        "vector": [int(one) for one in vector],
        "capped": 300,
        "examples": 300,
        "seed": SEED.hex(),
        "trees": [tree.hex() for tree in proved.commitment.trees],
        "polynomials": proved.commitment.polynomials.hex(),
        "id": proved.commitment.id.hex(),
        "shares_sha256": [hashlib.sha256(share).hexdigest() for share in proved.shares],
    }
    (FOLDER / "answer.json").write_text(json.dumps(case, indent=1) + "\n")


if __name__ == "__main__":
    main()
