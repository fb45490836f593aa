"""A federation that continues another one shows nobody's numbers by adding them up once more over other members."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from chains import Chain
from cluster import Cluster, Site
from members import identity, make_genesis

from coterie.crypto.identity.identity import peer_id
from coterie.crypto.identity.keyfile import seal_seed
from coterie.peer.cli.main import main
from coterie.peer.errors import Exit, PeerError
from coterie.peer.federation.refounding import _continued, check_continued, open_sum
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings, read_settings
from coterie.peer.home.store import Reader, Store
from coterie.peer.reporting.status import replay
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.bases import Bases
from coterie.protocol.ledger.blocks import Block, read_block, wide_value
from coterie.protocol.ledger.contribution import WIDE_UNIT
from coterie.protocol.ledger.genesis import Bounds, Continued, Genesis, read_genesis
from coterie.protocol.ledger.phases import Phase
from coterie.protocol.ledger.state import LedgerError, genesis_state
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.records import BlockDecided, ModelSaved, ValueSeen

ROWS, SUMS, LOST = (19, 16, 12, 9, 4), (5123.25, 2211.5, 3000.125, 777.25, 987.654321), 4
WEIGHTS = np.zeros(6, dtype="<f4").tobytes()


def trained(genesis: Genesis, peers: int, weights: bytes | None = None) -> Cluster:
    """A federation of peers with private numbers of their own, when all its rounds are over."""
    cluster = Cluster(peers, genesis, seed=1)
    if weights is not None:
        cluster.sites[0].disk.records = [ModelSaved(genesis.weights_hash, weights)]

    def answer(site: Site) -> Callable[[Train], Contribution]:
        rows, private = ROWS[site.number], SUMS[site.number]

        def train(work: Train) -> Contribution:
            entropy = cluster.random.randbytes(32)
            if work.kind == "setup":
                return Contribution(rows, (float(rows), private), entropy)
            update = np.full(6, 0.1, np.float32) if work.kind == "train" else None
            return Contribution(rows, (float(rows), private), entropy, update)

        return train

    for site in cluster.sites:
        site.train = answer(site)
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"), 600_000)
    return cluster


def totals(cluster: Cluster, round_: int) -> list[float]:
    """What the Model block of a round says that its contributors' own sums add up to."""
    for record in cluster.sites[0].disk.records:
        body = read_block(record.block).body if isinstance(record, BlockDecided) else None
        if getattr(body, "sums", None) and body.round == round_:  # type: ignore[union-attr]
            return [wide_value(one) / WIDE_UNIT for one in body.sums[2:]]  # type: ignore[union-attr]
    raise AssertionError(f"no model of round {round_}")


@pytest.fixture(scope="module")
def first() -> Cluster:
    """Five members: a setup round 0, a round 1, and the evaluation of its model in round 2."""
    return trained(make_genesis(6, rounds=1, min_peers=5, setup_sums=2), 5)


def weakened(genesis: Genesis, **fields: object) -> Genesis:
    """A genesis with something else in it, or in what it has from the federation before it."""
    inner = {name: value for name, value in fields.items() if name in Continued.__struct_fields__}
    outer = {name: value for name, value in fields.items() if name not in inner}
    assert genesis.continued is not None
    continued = msgspec.structs.replace(genesis.continued, **inner)
    return msgspec.structs.replace(genesis, **{"continued": continued} | outer)


def state_of(cluster: Cluster):  # type: ignore[no-untyped-def]
    node = cluster.sites[0].node
    assert node is not None
    return node.state, node.ctx.weights


def test_the_setup_round_is_not_repeated_without_the_members_that_are_gone(first: Cluster) -> None:
    state, weights = state_of(first)
    ours = _continued(state, identity(0).public, "peer 0", 4, 1)
    second = trained(ours, 4, weights)
    assert state_of(second)[0].totals == state.totals
    assert totals(second, 1), "it begins with a round of training"

    weak = weakened(ours, setup_totals=())
    again = trained(weak, 4, weights)
    shown = [one - other for one, other in zip(totals(first, 0), totals(again, 0), strict=True)]
    assert shown == pytest.approx([ROWS[LOST], SUMS[LOST]], abs=1e-6), "the lost member's own sums, exactly"


def test_a_model_that_was_evaluated_is_not_evaluated_again_over_other_members(first: Cluster) -> None:
    state, weights = state_of(first)
    ours = _continued(state, identity(0).public, "peer 0", 4, 1)
    assert ours.is_evaluated
    second = trained(ours, 4, weights)
    assert totals(second, 1) == [0.0, 0.0]
    assert totals(second, 2)[0] == sum(ROWS[:4]), "the next model is evaluated"

    weak = weakened(ours, evaluated=False)
    again = trained(weak, 4, weights)
    shown = [one - other for one, other in zip(totals(first, 2), totals(again, 1), strict=True)]
    assert shown == pytest.approx([ROWS[LOST], SUMS[LOST]], abs=1e-6)


def test_refounded_before_its_first_round_it_still_knows_what_was_evaluated(first: Cluster) -> None:
    state, _ = state_of(first)
    once = _continued(state, identity(0).public, "peer 0", 4, 1)
    twice = _continued(genesis_state(once), identity(1).public, "peer 1", 4, 1)
    assert (twice.is_evaluated, twice.totals) == (True, state.totals)


def test_a_model_whose_evaluation_is_not_public_is_evaluated() -> None:
    chain = Chain(4)
    chain.append(chain.contributors())
    chain.append(chain.model())
    assert not _continued(chain.state, identity(0).public, "peer 0", None, None).is_evaluated


@pytest.mark.parametrize("stands_at", ["trained", "shared", "decided", "failed", "seen", "finished"])
def test_what_the_evaluation_alone_adds_up_is_added_up_once(stands_at: str, tmp_path: Path) -> None:
    chain = Chain(4, make_genesis(min_peers=3, rounds=1, final_metrics=("rows of a class",)))
    if stands_at != "trained":
        chain.append(chain.contributors())
        chain.append(chain.model())
        assert chain.state.kind == "evaluate"
    known = None
    if stands_at in ("decided", "failed", "finished"):
        chain.append(chain.contributors())
    if stands_at == "failed":
        chain.append(chain.void())
    if stands_at == "finished":
        chain.append(chain.model(weights=chain.state.weights_hash))
    if stands_at == "seen":
        known = open_sum(chain.state, [Block(chain.state.height + 1, chain.state.head, chain.contributors()).encode()])
    ours = _continued(chain.state, identity(0).public, "peer 0", None, None, pending=known)
    assert ours.final_metrics == (("rows of a class",) if stands_at in ("trained", "shared") else ())
    assert _continued(genesis_state(ours), identity(0).public, "peer 0", 4, 1).final_metrics == ours.final_metrics
    if stands_at != "seen":  # that is in no ledger
        check_continued(msgspec.structs.replace(ours, final_metrics=()), home_of(chain, tmp_path / "old"))


def test_a_member_that_cheated_is_not_admitted_with_an_invite_either() -> None:
    cheat = identity(3)
    genesis = make_genesis(min_peers=3, continued=Continued(head=bytes(32), barred=(cheat.public,)))
    with pytest.raises(LedgerError, match="a join of somebody who was evicted for cheating"):
        Chain(4, genesis)
    assert Chain(4, weakened(genesis, barred=())).state.member(cheat.public)
    state = Chain(3, genesis).state
    assert _continued(state, identity(0).public, "peer 0", None, None).barred == (cheat.public,)


# A sum that may have been opened.


def home_of(chain: Chain, folder: Path, seen: bytes | None = None, number: int = 0) -> Home:
    """The home of a member with this ledger, stopped."""
    home = Home(folder)
    home.prepare()
    home.key_path.write_bytes(seal_seed(hashlib.sha256(b"test peer %d" % number).digest()))
    home.key_path.chmod(0o600)
    with Store.open(home.folder) as store:
        store.persist([ModelSaved(digest_of(WEIGHTS), WEIGHTS)])
        store.persist([BlockDecided(height, one.block, one.certificate) for height, one in enumerate(chain.blocks, 1)])
        if seen is not None:
            store.persist([ValueSeen(chain.state.height + 1, 0, True, seen, None, ())])
        store.keep("genesis", chain.genesis.encode())
        store.keep("settings", Settings(name="peer 0", data="data.csv", target="y").encode())
    return home


def decided(chain: Chain) -> bytes | None:
    chain.append(chain.contributors())
    return None


def failed(chain: Chain) -> bytes | None:
    chain.append(chain.contributors())
    chain.append(chain.void())
    return None


def seen(chain: Chain) -> bytes | None:
    """A quorum's prevotes for contributors were seen here, and the others may have decided them."""
    return Block(chain.state.height + 1, chain.state.head, chain.contributors()).encode()


@pytest.mark.parametrize("stands_at", [decided, failed, seen])
def test_where_a_sum_may_have_been_opened_it_says_whose_numbers_a_second_one_shows(
    stands_at: Callable[[Chain], bytes | None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chain = Chain(4)
    old = home_of(chain, tmp_path / "old", stands_at(chain))
    words = ("refound", "--home", str(old.folder), "--to", str(tmp_path / "new"))
    assert main(words) == Exit.FEDERATION
    told = capsys.readouterr().err
    others = [member for member in chain.state.members if member.key != identity(0).public]
    assert all(member.name in told for member in others)
    assert f"peer start {old.option}" in told
    assert "update, loss and metrics" in told
    named = [word.strip("'") for word in told.split("--disclose ")[1].replace("' '", "'|'").strip().split("|")]
    assert named == [member.name for member in others]

    for wrong in (named[:1], [*named, "nobody"], []):
        options = ("--disclose", *wrong) if wrong else ()
        assert main((*words, *options)) != Exit.OK
    assert not (tmp_path / "new").exists()
    capsys.readouterr()
    assert main((*words, "--disclose", named[0], peer_id(others[1].key), *named[2:])) == Exit.OK
    assert "may have opened that sum" in capsys.readouterr().out


def stood_still(chain: Chain) -> None:
    """Training ends with the model that it began with."""
    chain.append(chain.contributors())
    chain.append(chain.model(weights=chain.state.weights_hash))
    chain.round()
    assert chain.state.phase is Phase.FINISHED


def test_a_model_that_was_trained_on_already_is_refounded_only_with_consent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same updates would be added up over other members, though the sum before had a result."""
    chain = Chain(4, rounds=1)
    stood_still(chain)
    pending = open_sum(chain.state)
    assert pending is not None
    assert (pending.has_result, pending.contributors) == (True, frozenset(chain.state.keys))
    assert open_sum(replace(chain.state, bases=Bases())) is None, "a build that forgets models before would go on"
    words = ("refound", "--home", str(home_of(chain, tmp_path / "old").folder), "--to", str(tmp_path / "new"))
    assert main(words) == Exit.FEDERATION
    told = capsys.readouterr().err
    assert "was decided before on the very model that the ledger ends with" in told
    assert "update, loss and metrics" in told
    named = [member.name for member in chain.state.members if member.key != identity(0).public]
    assert main((*words, "--disclose", *named)) == Exit.OK


def test_without_such_a_sum_nothing_is_to_be_disclosed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chain = Chain(4)
    chain.append(chain.void())
    old = home_of(chain, tmp_path / "old")
    words = ("refound", "--home", str(old.folder), "--to", str(tmp_path / "new"))
    assert main((*words, "--disclose", "peer 1")) == Exit.USAGE
    assert "--disclose: leave this option out; no member's numbers would be shown" in capsys.readouterr().err
    assert main(words) == Exit.OK


def test_a_member_outside_of_the_sum_may_be_shown_too() -> None:
    chain = Chain(5)
    place = chain.state.committee.index(identity(0).public)
    chain.append(chain.contributors(dealers=[one for one in range(5) if one != place]))
    pending = open_sum(chain.state)
    assert pending is not None
    assert set(pending.exposed(chain.state, identity(0).public)) == set(chain.state.keys)
    assert set(pending.exposed(chain.state, identity(1).public)) == set(chain.state.keys) - {identity(1).public}


def test_a_home_that_was_refounded_is_neither_started_nor_refounded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else two federations add up the same data over different members."""
    old, new = home_of(Chain(4), tmp_path / "old"), tmp_path / "new"
    words = ("refound", "--home", str(old.folder), "--to")
    assert main((*words, str(new))) == Exit.OK
    capsys.readouterr()
    assert main(("start", "--home", str(old.folder))) == Exit.FEDERATION
    assert f"start that one: peer start --home {new}" in capsys.readouterr().err

    assert main((*words, str(tmp_path / "another"))) == Exit.OK, "the first one was never started"
    begin(tmp_path / "another")
    capsys.readouterr()
    assert main((*words, str(tmp_path / "third"))) == Exit.FEDERATION
    assert "show the numbers of single ones" in capsys.readouterr().err


def begin(folder: Path) -> None:
    """The federation of this home has decided something."""
    chain = Chain(3)
    with Store.open(folder) as store:
        store.persist([BlockDecided(1, chain.blocks[0].block, chain.blocks[0].certificate)])


def starts(folder: Path) -> bool:
    """Whether the home was not given up."""
    with Reader.open(folder) as reader:
        return reader.fact("refounded") is None


def refounds(old: Path, new: Path) -> bool:
    return main(("refound", "--home", str(old), "--to", str(new))) == Exit.OK


def test_of_all_homes_that_were_refounded_only_the_last_one_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, one, two, three = (tmp_path / name for name in ("old", "one", "two", "three"))
    home_of(Chain(4), old)
    assert refounds(old, one)
    assert refounds(old, two)
    capsys.readouterr()
    assert main(("start", "--home", str(one))) == Exit.FEDERATION
    assert f"start that one: peer start --home {two}" in capsys.readouterr().err
    assert refounds(one, three), "a home that was given up goes on, as long as no other one has begun"
    assert [starts(folder) for folder in (old, one, two, three)] == [False, False, False, True]

    again = tmp_path / "again"
    home_of(Chain(4), again)
    monkeypatch.setattr("coterie.peer.federation.refounding._made_from", lambda old: [])
    assert refounds(again, tmp_path / "a")
    assert refounds(again, tmp_path / "b")
    assert starts(tmp_path / "a"), "without the rule both run"
    assert starts(tmp_path / "b")


@pytest.mark.parametrize("begun", ["one", "two", "three"])
def test_any_home_that_has_begun_blocks_further_ones(begun: str, tmp_path: Path) -> None:
    """Also one that the last refound did not make, and one that was made from another new home."""
    old, one, two, three = (tmp_path / name for name in ("old", "one", "two", "three"))
    home_of(Chain(4), old)
    assert refounds(old, one)
    assert refounds(one, two)
    assert refounds(old, three)
    begin(tmp_path / begun)
    assert not refounds(old, tmp_path / "more")
    if begun != "one":
        assert not refounds(one, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_a_home_that_was_thrown_away_does_not_hide_what_was_made_from_it(tmp_path: Path) -> None:
    old, one, two = (tmp_path / name for name in ("old", "one", "two"))
    home_of(Chain(4), old)
    assert refounds(old, one)
    assert refounds(one, two)
    begin(two)
    shutil.rmtree(one)
    assert not refounds(old, tmp_path / "more")


# What members of the old federation compare.


def test_a_member_joins_what_follows_from_its_own_ledger(tmp_path: Path) -> None:
    chain = Chain(4)
    check_continued(_continued(chain.state, identity(1).public, "peer 1", 3, 5), home_of(chain, tmp_path / "old"))


def test_a_refounded_federation_goes_on_with_the_bound_that_was_reached() -> None:
    state = replace(Chain(4, bounds=Bounds(quarters=8)).state, quarters=-3)
    bounds = _continued(state, identity(1).public, "peer 1", 3, 5).bounds
    assert bounds == Bounds(quarters=-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"scheme": "plain"}, "differs from the old one in scheme"),
        ({"threshold": 2}, "differs from the old one in threshold"),
        ({"bounds": Bounds(quarters=0)}, "differs from the old one in what dealings prove"),
        ({"weights_hash": bytes(32)}, "differs from the old one in initial weights"),
        ({"evaluated": True}, "differs from the old one in whether the initial weights were evaluated"),
        ({"final_metrics": ("rows of a class",)}, "differs from the old one in metrics of the evaluation"),
        ({"barred": (bytes(32),)}, "differs from the old one in members that cheated"),
        ({"setup_sums": 1, "setup_totals": (b"\1",)}, "in setup sums, totals of the setup round"),
        ({"continued": None}, "does not say that it continues"),
        ({"head": bytes(32)}, "not in the ledger here"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_a_federation_that_does_not_follow_from_the_old_ledger_is_not_joined(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    chain = Chain(4)
    genesis = _continued(chain.state, identity(1).public, "peer 1", 3, 5)
    with pytest.raises(PeerError, match=told):
        check_continued(weakened(genesis, **change), home_of(chain, tmp_path / "old"))


def test_a_federation_that_goes_back_behind_a_members_ledger_is_not_joined(tmp_path: Path) -> None:
    chain = Chain(4)
    genesis = _continued(chain.state, identity(1).public, "peer 1", 3, 5)
    chain.append(chain.contributors())
    with pytest.raises(PeerError, match=r"from height 1, and its ledger here goes on to height 2"):
        check_continued(genesis, home_of(chain, tmp_path / "old"))


def test_a_member_is_warned_where_its_own_numbers_would_be_the_difference(tmp_path: Path) -> None:
    chain = Chain(5)
    outside = chain.state.committee.index(identity(2).public)
    chain.append(chain.contributors(dealers=[one for one in range(5) if one != outside]))
    genesis = _continued(chain.state, identity(1).public, "peer 1", 3, 5)
    check_continued(genesis, home_of(chain, tmp_path / "inside", number=0))
    with pytest.raises(PeerError, match="shows its update, loss and metrics"):
        check_continued(genesis, home_of(chain, tmp_path / "outside", number=2))


def test_totals_and_barred_keys_are_in_the_new_home(tmp_path: Path, first: Cluster) -> None:
    site = first.sites[0]
    old = Home(tmp_path / "old")
    old.prepare()
    old.key_path.write_bytes(seal_seed(hashlib.sha256(b"test peer 0").digest()))
    old.key_path.chmod(0o600)
    with Store.open(old.folder) as store:
        for record in site.disk.records:
            store.persist([record])
        store.keep("genesis", first.genesis.encode())
        store.keep("settings", Settings(name="peer 0").encode())
    new = tmp_path / "new"
    assert main(("refound", "--home", str(old.folder), "--to", str(new), "--min-peers", "4")) == Exit.OK
    with Reader.open(new) as reader:
        genesis, state = read_genesis(reader.fact("genesis") or b""), replay(reader)
    assert state is not None
    assert genesis.totals == state.totals == state_of(first)[0].totals
    assert (state.kind, state.round) == ("train", 1)


def test_two_members_that_are_left_are_told_that_they_need_a_third(
    peer: Callable[..., tuple[int, str, str]], old_home: Home, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    code, _, err = peer("refound", "--home", str(old_home.folder), "--to", str(new), "--min-peers", "2")
    assert code == Exit.USAGE
    assert "--min-peers 2: at least 3, because a sum of two updates shows each member the other's; two members" in err
    assert "need a third one" in err
    assert "Genesis" not in err
    assert not new.exists()
    code, out, err = peer("refound", "--home", str(old_home.folder), "--to", str(new), "--min-peers", "3")
    assert code == Exit.OK, err
    assert "training starts there with 3 members (--min-peers): if fewer are left, others have to join" in out


def test_a_share_deadline_that_was_too_short_can_be_a_longer_one(
    peer: Callable[..., tuple[int, str, str]], old_home: Home, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    words = ("refound", "--home", str(old_home.folder), "--to", str(new), "--share-deadline", "600")
    code, _, err = peer(*words)
    assert code == Exit.OK, err
    with Reader.open(new) as reader:
        genesis, settings = read_genesis(reader.fact("genesis") or b""), read_settings(reader.fact("settings"))
    assert (genesis.share_deadline_ms, settings.share_deadline) == (600_000, 600)
    check_continued(genesis, old_home)


def test_the_old_home_of_the_founder_is_nobody_elses(tmp_path: Path) -> None:
    chain = Chain(4)
    genesis = _continued(chain.state, identity(0).public, "peer; 0", 3, 5)
    old = home_of(chain, tmp_path / "old", number=0)
    with pytest.raises(PeerError, match=r'this is the old home of "peer; 0", which founded the new federation'):
        check_continued(genesis, old, identity(9).public)
    check_continued(genesis, old, identity(0).public)
    check_continued(genesis, home_of(chain, tmp_path / "own", number=1), identity(9).public)
