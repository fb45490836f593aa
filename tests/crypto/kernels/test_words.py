"""Processors with narrow registers compute the same, by kernels of their own. They are compiled in another process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llvmlite import binding

from coterie.crypto import prng, vectors
from coterie.crypto.kernels import words as lanes
from coterie.crypto.sharing.shamir import Placement, Scheme, Way

PROGRAM = """
import sys
from llvmlite import binding
features = binding.get_host_cpu_features
binding.get_host_cpu_features = lambda: {features}
from coterie.crypto.kernels import words
binding.get_host_cpu_features = features
assert words.LANES == {lanes}
import numpy as np
from coterie.crypto import prng, vectors
from coterie.crypto.sharing.shamir import Placement, Scheme, Way
exec(sys.stdin.read())
np.save(sys.argv[1], results())
"""
RESULTS = """
def results():
    numbers = prng.stream(b"seed", b"", 40 * 37).reshape(40, 37)
    scheme = Scheme(45, 41, 1, Placement.COSETS)
    shares = scheme.share(numbers[:1], numbers.copy())
    opened = scheme.reconstruct(range(42), shares[:42])
    prints = np.concatenate([vectors.fingerprints(b"seed", numbers).reshape(-1), shares[0]])[None, :37]
    blocks = [in_blocks(numbers, size) for size in (128, 256, 512, 1024)]
    return np.concatenate([vectors.matmul(numbers[:, :7].copy(), numbers[:7]), shares, opened, prints, *blocks])


def in_blocks(numbers, size):
    scheme = Scheme(size, 42, 2, Placement.COSETS)
    shares = scheme.share(numbers[:2], numbers, Way.NTT)
    return scheme.reconstruct(range(3, size), shares[3:], Way.NTT)
"""


@pytest.mark.parametrize(("features", "words"), [({"avx512f": True}, 8), ({"avx512f": False}, 4), ({}, 4), (None, 4)])
def test_vectors_are_as_wide_as_registers(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool] | None, words: int
) -> None:
    def found() -> dict[str, bool]:
        if features is None:
            raise RuntimeError("unknown processor")
        return features

    monkeypatch.setattr(binding, "get_host_cpu_features", found)
    assert lanes._words_in_a_register() == words


def test_registers_of_another_width_give_the_same_results(tmp_path: Path) -> None:
    features, other = ({"avx512f": True}, 8) if lanes.LANES == 4 else ({}, 4)
    path = tmp_path / "found.npy"
    subprocess.run(
        [sys.executable, "-c", PROGRAM.format(features=features, lanes=other), str(path)],
        input=RESULTS,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        timeout=150,
    )
    scope: dict[str, Any] = {
        "np": np,
        "prng": prng,
        "vectors": vectors,
        "Scheme": Scheme,
        "Placement": Placement,
        "Way": Way,
    }
    exec(RESULTS, scope)
    assert np.array_equal(np.load(path), scope["results"]())
