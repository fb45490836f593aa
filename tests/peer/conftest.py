"""The command line, and a home whose ledger real nodes agreed on, in virtual time."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Cluster
from members import identity

from coterie.crypto.identity.keyfile import seal_seed
from coterie.peer.cli.main import main
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store


@pytest.fixture
def peer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """Run `peer` in this process, over the home `home`; returns exit code, stdout, stderr."""
    monkeypatch.setenv("COTERIE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture(scope="session")
def finished() -> Cluster:
    """Four peers that trained two rounds."""
    cluster = Cluster(4)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    return cluster


@pytest.fixture
def old_home(finished: Cluster, tmp_path: Path) -> Home:
    """The home of the first of them, as its driver would have left it."""
    import hashlib

    home = Home(tmp_path / "old")
    home.prepare()
    home.key_path.write_bytes(seal_seed(hashlib.sha256(b"test peer 0").digest()))
    home.key_path.chmod(0o600)
    assert home.public_key() == identity(0).public
    with Store.open(home.folder) as store:
        store.persist(finished.sites[0].disk.records)
        store.keep("genesis", finished.genesis.encode())
        store.keep("settings", Settings(name="peer 0", data="data.csv", target="y", bootstrap=("x:1",)).encode())
    return home


@pytest.fixture
def early_home(old_home: Home, finished: Cluster) -> Home:
    """The home of a member that was stopped before the last round."""
    node = finished.sites[0].node
    assert node is not None
    with Store.open(old_home.folder) as store:
        store._link.execute("DELETE FROM blocks WHERE height = ?", (node.state.height,))
    return old_home
