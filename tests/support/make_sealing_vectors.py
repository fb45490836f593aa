"""Writes tests/vectors/sealing anew from the inputs in its answers: known boxes and proofs, and one fault a file."""

import json
from pathlib import Path

from nacl import bindings

from coterie.crypto.identity.identity import GROUP_ORDER, Identity
from coterie.crypto.identity.sealing import DealingKey, Ephemeral

FOLDER = Path(__file__).resolve().parents[1] / "vectors" / "sealing"
ORDER_TWO = bytes.fromhex("ec" + "ff" * 30 + "7f")


def write(name: str, case: dict[str, bytes], **more: str) -> None:
    """One file."""
    content = {field: value.hex() for field, value in case.items()} | more
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


def dealt(seed: bytes, context: bytes, commitment: bytes, holder: Identity, plaintext: bytes) -> dict[str, bytes]:
    """What a dealer publishes and seals for one holder, and how that holder would complain."""
    dealer = Ephemeral(seed, context, commitment)
    opening = DealingKey(dealer.key[:32], context).reveal(holder)
    box = dealer.seal(holder.public, plaintext)
    return {"key": dealer.key, "box": box, "shared": opening.shared, "proof": opening.proof}


def beyond(data: bytes, place: int) -> bytes:
    """The scalar at this place, plus the group's order."""
    number = int.from_bytes(data[place : place + 32], "little") + GROUP_ORDER
    return data[:place] + number.to_bytes(32, "little") + data[place + 32 :]


def faults(case: dict[str, bytes]) -> None:
    """Write one fault a file, made of a good case."""
    context, key, shared, proof, box = (case[name] for name in ("context", "key", "shared", "proof", "box"))
    holder = Identity.from_seed(case["holder_seed"])
    inputs = case["seed"], context, case["commitment"][::-1], holder, case["plaintext"]
    other = dealt(*inputs)
    good = {"context": context, "key": key, "holder": holder.public, "shared": shared, "proof": proof, "box": box}

    def fault(name: str, refused_by: str, **changed: bytes) -> None:
        write(f"fault-{name}", good | changed, refused_by=refused_by)

    fault("key-other-context", "dealing_key", context=context[::-1])
    fault("key-response-beyond-the-order", "dealing_key", key=beyond(key, 64))
    fault("key-copied-point", "dealing_key", key=key[:32] + other["key"][32:])
    fault("key-mixed-order", "dealing_key", key=bindings.crypto_core_ed25519_add(key[:32], ORDER_TWO) + key[32:])
    fault("key-small-order", "dealing_key", key=ORDER_TWO + key[32:])
    fault("key-short", "dealing_key", key=key[:-1])
    fault("key-long", "dealing_key", key=key + b"\0")
    fault("opening-challenge-beyond-the-order", "judge", proof=beyond(proof, 0))
    fault("opening-zero-response", "judge", proof=proof[:32] + bytes(32))
    fault("opening-short", "judge", proof=proof[:-1])
    fault("opening-false-value", "judge", shared=other["shared"])
    fault("opening-mixed-order", "judge", shared=bindings.crypto_core_ed25519_add(shared, ORDER_TWO))
    fault("opening-other-holder", "judge", holder=Identity.from_seed(case["seed"]).public)
    fault("opening-other-dealing", "judge", shared=other["shared"], proof=other["proof"])
    fault("box-changed", "open_with", box=box[:-1] + bytes([box[-1] ^ 1]))
    fault("box-short", "open_with", box=box[:15])


def main() -> None:
    """Write them all."""
    for path in sorted(FOLDER.glob("answer-*.json")):
        case = {name: bytes.fromhex(value) for name, value in json.loads(path.read_text()).items()}
        holder = Identity.from_seed(case["holder_seed"])
        case |= dealt(case["seed"], case["context"], case["commitment"], holder, case["plaintext"])
        write(path.stem, case)
        if path.stem == "answer-two-blocks":
            faults(case)


if __name__ == "__main__":
    main()
