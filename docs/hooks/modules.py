"""The pages of the reference that are made of docstrings, and the modules on each."""

from typing import Final, NamedTuple


class _Page(NamedTuple):
    title: str
    says: str
    modules: tuple[str, ...]


def _all(package: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names)


PAGES: Final = {
    "apps": _Page(
        "Apps",
        "How a model becomes an app that the members train. [Models of other packages](../apps.md) shows each in use.",
        ("coterie.peer.learning.app", *_all("coterie.apps", "sklearn", "torch", "jax", "flower")),
    ),
    "simulator": _Page(
        "Simulator",
        "`peer simulate` as a library. The [guide](../guide.md#ask-before-you-found-the-simulator) shows it in use, "
        "[contributing](../../CONTRIBUTING.md#add-a-liar) how to write a liar.",
        (
            "coterie.topology",
            *_all("coterie.topology", "options", "network.graphs", "network.links", "faults.faults"),
            *_all("coterie.topology", "reporting.result", "engine.adversary"),
        ),
    ),
    "schemes": _Page(
        "Schemes",
        "The ways to add updates up. [Contributing](../../CONTRIBUTING.md#add-a-scheme) says how to add one.",
        ("coterie.protocol.scheme_registry", *_all("coterie.protocol.schemes", "base", "shamir", "plain")),
    ),
    "crypto": _Page(
        "Shares and boxes",
        "What a round is made of: pure functions of bytes and seeds. [The cryptography](../crypto.md) says what each "
        "promises, under which assumption, and where it is from.",
        _all(
            "coterie.crypto",
            *("field", "vectors", "prng", "ntt", "erasures"),
            *("sharing.fixed_point", "sharing.shamir", "sharing.dealing", "sharing.merkle", "sharing.robust"),
            *("identity.identity", "identity.sealing", "identity.keyfile"),
        ),
    ),
    "crypto-proof": _Page(
        "Dealings that prove themselves",
        "Rounds use it where the founder gave `--norm`. [The page on it](../proof.md) says why it holds.",
        (
            "coterie.crypto.proof",
            *_all("coterie.crypto.proof", "terms", "functionals", "prover", "checks", "commitment", "transcript"),
        ),
    ),
    "crypto-paillier": _Page(
        "Threshold Paillier",
        "A library; rounds do not use it. [The page on it](../crypto-paillier.md) says what it promises.",
        (
            "coterie.crypto.paillier",
            *_all(
                "coterie.crypto.paillier",
                *("keys", "encryption", "packing", "group", "threshold", "proofs", "claims", "generation.joint"),
                *("generation.resharing", "rounds", "errors"),
            ),
        ),
    ),
    "crypto-masks": _Page(
        "Masked sums",
        "A library; rounds do not use it. [The page on it](../crypto-masks.md) says what it promises.",
        (
            "coterie.crypto.masks",
            *_all("coterie.crypto.masks", "parameters", "ring", "sampling", "keys", "mask", "blame"),
        ),
    ),
}
"""By the name of the page below reference/."""


def pages() -> dict[str, str]:
    """Return the pages, in Markdown with the directives of mkdocstrings."""
    return {
        name: f"# {page.title}\n\n{page.says}\n\n" + "\n\n".join(f"::: {module}" for module in page.modules) + "\n"
        for name, page in PAGES.items()
    }
