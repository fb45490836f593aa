"""`peer id` makes the key of a home once, and prints what a roster names."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from coterie.crypto.identity.identity import peer_id
from coterie.peer.errors import Exit
from coterie.peer.home.folder import PASSPHRASE_VARIABLE, Home
from coterie.peer.home.store import Store

Peer = Callable[..., tuple[int, str, str]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(PASSPHRASE_VARIABLE, raising=False)
    return Home(tmp_path / "home")


def test_the_id_is_that_of_the_key_that_a_start_then_uses(peer: Peer, home: Home) -> None:
    code, out, err = peer("id")
    assert (code, err) == (Exit.OK, "")
    assert home.key_path.stat().st_mode & 0o777 == 0o600
    assert out == home.identity(lambda sealed: None).peer_id + "\n"
    assert peer("id") == (code, out, err)
    assert json.loads(peer("id", "--json")[1]) == {"id": out.strip(), "home": str(home.folder)}


def test_a_running_peer_is_asked_by_nobody(peer: Peer, home: Home) -> None:
    first = peer("id")
    with home.locked():
        assert peer("id") == first


def test_a_key_can_be_sealed_and_its_id_is_read_without_the_passphrase(peer: Peer, home: Home, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("correct horse\n")
    code, out, _ = peer("id", "--passphrase-file", "words")
    assert code == Exit.OK
    assert peer("id") == (Exit.OK, out, "")
    assert home.identity(lambda sealed: "correct horse" if sealed else None).peer_id == out.strip()


def test_no_new_key_is_made_where_a_federation_knows_another_one(peer: Peer, old_home: Home) -> None:
    public = old_home.public_key()
    assert public is not None
    assert peer("id", "--home", str(old_home.folder)) == (Exit.OK, peer_id(public) + "\n", "")
    old_home.key_path.unlink()
    code, _, err = peer("id", "--home", str(old_home.folder))
    assert code == Exit.KEY
    assert "the key of this home is missing" in err
    assert not old_home.key_path.exists()


def test_a_start_that_failed_before_it_had_a_key_is_no_federation(peer: Peer, home: Home) -> None:
    home.prepare()
    with Store.open(home.folder):
        pass
    assert peer("id")[0] == Exit.OK


def test_a_key_that_others_may_read_is_told(peer: Peer, home: Home) -> None:
    home.prepare()
    home.key_path.write_text("spoilt")
    home.key_path.chmod(0o644)
    code, _, err = peer("id")
    assert code == Exit.KEY
    assert "chmod 600" in err
