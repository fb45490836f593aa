"""Keys too small to be safe, so that the tests are quick; the sizes that are accepted are tested by name."""

from collections.abc import Iterator

import pytest

from coterie.crypto.paillier import keys

SMALL_BITS = (512, 768)


@pytest.fixture(scope="package", autouse=True)
def small_sizes() -> Iterator[None]:
    """Accept small moduli in this folder's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "KEY_BITS", (*SMALL_BITS, *keys.KEY_BITS))
        yield


@pytest.fixture(scope="package")
def private(small_sizes: None) -> keys.PrivateKey:
    """A key of 512 bits."""
    return keys.generate(b"thirty-two secret random bytes..", 512)


@pytest.fixture(scope="package")
def other(small_sizes: None) -> keys.PrivateKey:
    """Another key of 512 bits."""
    return keys.generate(b"thirty-two other random bytes...", 512)
