"""The page of a home with a ledger."""

from collections.abc import Iterator

import pytest
from cluster import Cluster
from members import identity
from served_page import Served, running_status, serving

from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.peer.home.store import Store


@pytest.fixture(scope="session")
def read_home(finished: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home that is only read, as a page does."""
    home = Home(tmp_path_factory.mktemp("page"))
    home.prepare()
    with Store.open(home.folder) as store:
        store.persist(finished.sites[0].disk.records)
        store.keep("genesis", finished.genesis.encode())
        store.keep("settings", Settings(name="peer 0").encode())
    return home


@pytest.fixture
def served(read_home: Home) -> Iterator[Served]:
    with serving(read_home.folder, running_status(read_home.folder, identity(0).public)) as running:
        yield running
