"""What members of a federation send each other holds no value of their tables, and what an app says in an error."""

import csv
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from cluster import Cluster, Site
from table_homes import table_genesis

from coterie.peer.learning.learner import Learner
from coterie.peer.learning.table_models.tables_app import TableApp
from coterie.peer.training.trainer import Trainer
from coterie.protocol.events import Send
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.records import ModelSaved

ROWS = 40
OWN_WARD = "the ward of one site alone"
OWN_COLUMN = "a column of one site alone"


def table(path: Path, site: int) -> Path:
    """Write a table of a number, a category and a target; the last site has a column and a level of its own."""
    random = np.random.default_rng(site)
    own = site == 3
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["dose", "ward", "outcome", *([OWN_COLUMN] if own else [])])
        for number in range(ROWS):
            dose = float(random.normal(70, 9))
            ward = OWN_WARD if own and number % 5 == 0 else ("north", "south")[number % 2]
            lines.writerow([dose, ward, 3 * dose + float(random.normal()), *([f"patient {number}"] if own else [])])
    return path


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> list[TableApp]:
    """The apps of four sites, whose federation the first one founded."""
    folder = tmp_path_factory.mktemp("sites")
    paths = [table(folder / f"site{number}.csv", number) for number in range(4)]
    founder = TableApp.found(paths[0], "outcome", "linear")
    others = [TableApp.adopt(founder.describe(), path) for path in paths[1:3]]
    return [founder, *others, TableApp.adopt(founder.describe(), paths[3], ignore=[OWN_COLUMN])]


def federation(apps: list[TableApp]) -> tuple[Cluster, list[bytes]]:
    """Four members that train on these tables, and all that they send, as it is sent."""
    cluster = Cluster(4, table_genesis(apps[0], rounds=2))
    cluster.sites[0].disk.records = [ModelSaved(cluster.genesis.weights_hash, Learner(apps[0]).initial().tobytes())]
    sent: list[bytes] = []

    def listen(_site: Site, send: Send) -> None:
        sent.extend((send.envelope, send.blob or b""))

    cluster.before_send = listen
    for site, app in zip(cluster.sites, apps, strict=True):
        site.train = Trainer(Learner(app))
    return cluster, sent


def spellings(value: float) -> Iterator[bytes]:
    """A number as text, and in the layouts in which programs keep numbers."""
    yield repr(value).encode()
    yield from (struct.pack(layout, value) for layout in ("<d", ">d"))


def test_no_value_of_a_table_is_sent_in_any_spelling(apps: list[TableApp]) -> None:
    cluster, sent = federation(apps)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    everything = b"\0".join(sent)
    assert cluster.sites[3].identity.public in everything
    assert b"ward" in everything  # the name of a column
    assert b"north" in everything  # a level that the founder's table has
    assert OWN_WARD.encode() not in everything
    assert OWN_COLUMN.encode() not in everything
    assert b"patient" not in everything
    for app in apps:
        assert app.table.values is not None
        values = {float(value) for value in (*app.table.inputs[:, 0], *app.table.values)}
        assert len(values) == 2 * ROWS
        assert [value for value in values if any(one in everything for one in spellings(value))] == []


def test_what_an_app_says_in_an_error_is_told_to_the_members(apps: list[TableApp]) -> None:
    cluster, sent = federation(apps)

    def fail(_work: Train) -> Contribution:
        raise ValueError(f"no such ward: {OWN_WARD}")

    cluster.sites[3].train = fail
    cluster.start()
    cluster.run(lambda: any("sitting-out" in site.kinds() for site in cluster.sites))
    assert OWN_WARD.encode() in b"\0".join(sent)
