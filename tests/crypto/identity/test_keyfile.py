"""Key files: what is sealed opens again, and everything else is refused with its reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.pwhash import argon2id

from coterie.crypto.identity import keyfile
from coterie.crypto.identity.identity import Identity
from coterie.crypto.identity.keyfile import KeyFileError, is_sealed, open_seed, seal_seed

SEED = bytes(range(32))


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cheapest Argon2id that there is; the format states the parameters, so it stays the same."""
    monkeypatch.setattr(keyfile, "_OPS", argon2id.OPSLIMIT_MIN)
    monkeypatch.setattr(keyfile, "_MEMORY_KIB", argon2id.MEMLIMIT_MIN // 1024)


@given(st.binary(min_size=32, max_size=32))
def test_a_plain_key_file_opens_again(seed: bytes) -> None:
    assert open_seed(seal_seed(seed)) == seed
    assert not is_sealed(seal_seed(seed))


def test_a_sealed_key_file_opens_again_with_the_parameters_for_real_use() -> None:
    sealed = seal_seed(SEED, "correct horse")
    assert b"argon2id 3 262144 " in sealed
    assert open_seed(sealed, "correct horse") == SEED


@pytest.mark.usefixtures("light")
def test_a_sealed_key_file_names_the_peer_and_hides_the_seed() -> None:
    sealed = seal_seed(SEED, "passphrase")
    assert is_sealed(sealed)
    assert f"peer {Identity.from_seed(SEED).peer_id}\n".encode() in sealed
    assert SEED.hex().encode() not in sealed
    assert SEED not in sealed


@pytest.mark.usefixtures("light")
def test_sealing_is_deterministic_and_salts_each_seed_and_passphrase_differently() -> None:
    def salt(data: bytes) -> bytes:
        return data.split(b"\n")[2].split(b" ")[-1]

    files = [seal_seed(SEED, "one"), seal_seed(SEED, "two"), seal_seed(bytes(32), "one")]
    assert files[0] == seal_seed(SEED, "one")
    assert len({salt(data) for data in files}) == 3


@pytest.mark.usefixtures("light")
def test_a_passphrase_typed_with_composed_or_combining_letters_is_the_same() -> None:
    assert open_seed(seal_seed(SEED, "caf\u00e9"), "cafe\u0301") == SEED


@pytest.mark.usefixtures("light")
def test_a_wrong_passphrase_is_refused() -> None:
    with pytest.raises(KeyFileError, match="passphrase is wrong"):
        open_seed(seal_seed(SEED, "right"), "wrong")


@pytest.mark.usefixtures("light")
def test_a_missing_passphrase_is_asked_for() -> None:
    with pytest.raises(KeyFileError, match="a passphrase is needed"):
        open_seed(seal_seed(SEED, "passphrase"))


def test_a_passphrase_for_a_file_that_is_not_sealed_is_refused() -> None:
    with pytest.raises(KeyFileError, match="not sealed"):
        open_seed(seal_seed(SEED), "passphrase")


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(KeyFileError, match="must not be empty"):
        seal_seed(SEED, "")


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes, not 33"):
        seal_seed(bytes(33))


def test_a_key_file_whose_seed_was_altered_is_refused() -> None:
    data = seal_seed(SEED).replace(b"seed 00", b"seed 01")
    with pytest.raises(KeyFileError, match="damaged"):
        open_seed(data)


@pytest.mark.usefixtures("light")
def test_every_altered_byte_of_a_sealed_key_file_is_noticed() -> None:
    sealed = seal_seed(SEED, "passphrase")
    for i in range(len(sealed)):
        altered = sealed[:i] + bytes([sealed[i] ^ 1]) + sealed[i + 1 :]
        with pytest.raises(KeyFileError):
            open_seed(altered, "passphrase")


@pytest.mark.parametrize("seal", ["17 8", "1 1048577", "9999999999 9999999999"])
def test_a_key_file_that_asks_for_too_much_work_is_refused_before_it_is_done(seal: str) -> None:
    peer = Identity.from_seed(SEED).peer_id
    data = f"coterie key file 1\npeer {peer}\nseal argon2id {seal} {'0' * 32}\nseed {'0' * 96}\n"
    with pytest.raises(KeyFileError, match="at most 16 over 1048576"):
        open_seed(data.encode(), "passphrase")


def test_parameters_below_libsodium_s_minimum_are_refused() -> None:
    peer = Identity.from_seed(SEED).peer_id
    data = f"coterie key file 1\npeer {peer}\nseal argon2id 1 1 {'0' * 32}\nseed {'0' * 96}\n"
    with pytest.raises(KeyFileError, match="not possible"):
        open_seed(data.encode(), "passphrase")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\n",
        lambda data: data[:-1],
        lambda data: data.replace(b"file 1", b"file 2"),
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"seal none", b"seal None"),
        lambda data: data[:-2] + b"\n",
        lambda data: data.replace(b"0a", b"0A"),
        lambda data: b"",
        lambda data: data * 100,
    ],
)
def test_only_one_way_of_writing_a_key_file_is_accepted(change: object) -> None:
    assert callable(change)
    with pytest.raises(KeyFileError, match="not a coterie key file"):
        open_seed(change(seal_seed(SEED)))


@given(st.binary(max_size=2000))
def test_no_input_makes_the_reader_fail_otherwise(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        open_seed(data)


@pytest.mark.usefixtures("light")
def test_no_error_shows_the_seed_or_the_passphrase() -> None:
    for data, phrase in ((seal_seed(SEED, "hush hush"), "wrong guess"), (seal_seed(SEED), "hush hush")):
        with pytest.raises(KeyFileError) as caught:
            open_seed(data, phrase)
        assert "hush" not in str(caught.value)
        assert "guess" not in str(caught.value)
        assert SEED.hex() not in str(caught.value)
