"""The seam for schemes: one that no other file knows is listed here, and runs whole rounds.

It is replicated secret sharing (Ito, Saito, Nishizeki, 1987): a vector is the sum of one random part for each set of
K-1 members, which are those that do not get this part. So K-1 members lack one, and K have all of them between them.
Its boxes and sum shares are as large as several vectors, where those of the scheme shamir are as large as one.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coterie.crypto.field import P, from_bytes, inverse
from coterie.crypto.identity.identity import Identity
from coterie.crypto.prng import Stream
from coterie.crypto.vectors import add_into, fingerprint
from coterie.peer.cli.main import main, parser
from coterie.peer.federation.consent import Consent, NoConsent, needed_options
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.blocks import Evict, Membership, read_block
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import Layout
from coterie.protocol.ledger.evidence import Judgement, Point, judge_points
from coterie.protocol.ledger.genesis import Genesis, GenesisError, read_genesis
from coterie.protocol.messages.encoding import digest_of
from coterie.protocol.messages.kinds import NO_KEY, Complaint, Deal
from coterie.protocol.scheme_registry import SCHEMES, Entry, Promise
from coterie.protocol.schemes.base import (
    CheckedShare,
    CheckJob,
    Choice,
    Dealing,
    DealJob,
    JudgeJob,
    Opened,
    OpenJob,
    Scheme,
    Terms,
    blob_digests,
)
from coterie.topology.engine.founded_ledger import make_genesis
from coterie.topology.engine.simulation import Simulation
from coterie.topology.engine.training import Flat
from coterie.topology.faults.faults import Outage
from coterie.topology.options import Options, build, memory_bytes
from coterie.topology.reporting.result import Result, result_of
from coterie.topology.sweep.scenarios import run, scenario_of

Without = tuple[int, ...]
"""Names a part by the members that do not get it."""


@dataclass(frozen=True, slots=True)
class ReplicatedScheme(Scheme):
    """Each holder gets all parts but those of which it is to know nothing; equal copies outvote false ones."""

    def parts(self, holder: int | None = None) -> list[Without]:
        """Return all parts, or those of a holder."""
        everybody = range(self.committee.n)
        return [one for one in combinations(everybody, self.committee.threshold - 1) if holder not in one]

    def deal(self, terms: Terms, identity: Identity, vector: bytes, seed: bytes, seeded: tuple[int, ...]) -> DealJob:
        return SplitUp(terms, self, identity.public, vector, seed)

    def wrong_deal(self, terms: Terms, dealer: int, deal: Deal) -> str | None:
        sizes = (len(deal.published), len(deal.box_hashes), deal.key, deal.seeded)
        if sizes != (32 * len(self.parts()), self.committee.n, NO_KEY, ()) or deal.root != digest_of(deal.published):
            return "dealt a commitment of the wrong form"
        return None

    def blob_bytes(self, terms: Terms, dealer: int, holder: int, deal: Deal) -> int:
        return 0 if holder == dealer else self.share_bytes(terms.layout)

    def check(self, terms: Terms, identity: Identity, dealer: int, deal: Deal, blob: bytes) -> CheckJob:
        holder = self.committee.index(identity.public)
        assert holder is not None
        return LookAtParts(terms, self, dealer, holder, deal, blob)

    def judge_complaint(
        self, terms: Terms, dealer: int, holder: int, deal: Deal, complaint: Complaint, blob: bytes
    ) -> JudgeJob:
        return JudgeParts(terms, self, dealer, holder, deal, blob)

    def sum_bytes(self, layout: Layout) -> int:
        return self.share_bytes(layout)

    def open(self, terms: Terms, choice: Choice, rows: Mapping[int, bytes]) -> OpenJob:
        return AddParts(terms, self, tuple(sorted(rows.items())))

    def fingerprint(self, holder: int, challenge: bytes, share: bytes, columns: int) -> Point:
        """Return the holder's value of the polynomials that follow from the parts (Cramer, Damgård, Ishai, 2005)."""
        first = second = 0
        for one, part in zip(self.parts(holder), pieces(share, 8 * columns), strict=True):
            a, b = fingerprint(challenge, from_bytes(part, columns))
            first, second = first + a * weight(one, holder), second + b * weight(one, holder)
        return first % P, second % P

    def judge(self, choice: Choice, points: Mapping[int, Point]) -> Judgement | None:
        return judge_points(points, self.committee)

    def share_bytes(self, layout: Layout) -> int:
        return comb(self.committee.n - 1, self.committee.threshold - 1) * layout.vector_bytes


def weight(part: Without, holder: int) -> int:
    """Return the holder's value of the polynomial that is 1 at 0, and 0 for those that do not get the part."""
    value = 1
    for one in part:
        value = value * (holder - one) * inverse(-1 - one) % P
    return value


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@dataclass(frozen=True, slots=True)
class SplitUp(DealJob):
    terms: Terms
    scheme: ReplicatedScheme
    dealer: bytes
    vector: bytes = field(repr=False)
    seed: bytes = field(repr=False)
    label: str = "splitting up"

    def run(self) -> Dealing:
        terms, every = self.terms, self.scheme.parts()
        me = self.scheme.committee.index(self.dealer)
        assert me is not None
        stream = Stream(hashlib.sha256(terms.context(me) + self.seed + self.vector).digest(), b"parts")
        rest, data = from_bytes(self.vector, terms.layout.columns), {}
        for one in every[1:]:
            part = np.empty(rest.size, dtype=np.uint64)
            stream.fill(part)
            data[one] = part.tobytes()
            add_into(rest, np.where(part == 0, part, np.uint64(P) - part))
        data[every[0]] = rest.tobytes()
        shares = [b"".join(data[one] for one in self.scheme.parts(holder)) for holder in range(len(terms.members))]
        blobs = tuple(b"" if holder == me else share for holder, share in enumerate(shares))
        digests = b"".join(digest_of(data[one]) for one in every)
        deal = Deal(terms.round, terms.base_hash, digest_of(digests), digests, NO_KEY, (), blob_digests(blobs))
        return Dealing(deal, blobs, shares[me])

    def cost_ms(self, columns: int) -> float:
        return 1.0 + 1e-5 * columns * len(self.scheme.parts())


def look(scheme: ReplicatedScheme, terms: Terms, holder: int, deal: Deal, blob: bytes) -> CheckedShare:
    """Compare the parts in a box with what their dealer published of them; there is no secret in the proof."""
    published = dict(zip(scheme.parts(), pieces(deal.published, 32), strict=True))
    for one, part in zip(scheme.parts(holder), pieces(blob, terms.layout.vector_bytes), strict=True):
        if digest_of(part) != published[one] or any(value >= P for value in np.frombuffer(part, "<u8")):
            return CheckedShare(wrong="a part is not what its dealer published", secret=bytes(32), proof=bytes(64))
    return CheckedShare(values=blob)


@dataclass(frozen=True, slots=True)
class LookAtParts(CheckJob):
    terms: Terms
    scheme: ReplicatedScheme
    dealer: int
    holder: int
    deal: Deal = field(repr=False)
    blob: bytes = field(repr=False)
    label: str = "comparing parts"

    def run(self) -> CheckedShare:
        return look(self.scheme, self.terms, self.holder, self.deal, self.blob)

    def cost_ms(self, columns: int) -> float:
        return 1e-5 * columns * len(self.scheme.parts(self.holder))


@dataclass(frozen=True, slots=True)
class JudgeParts(JudgeJob):
    terms: Terms
    scheme: ReplicatedScheme
    dealer: int
    holder: int
    deal: Deal = field(repr=False)
    blob: bytes = field(repr=False)
    label: str = "judging parts"

    def run(self) -> CheckedShare:
        return look(self.scheme, self.terms, self.holder, self.deal, self.blob)

    def cost_ms(self, columns: int) -> float:
        return 1e-5 * columns * len(self.scheme.parts(self.holder))


@dataclass(frozen=True, slots=True)
class AddParts(OpenJob):
    terms: Terms
    scheme: ReplicatedScheme
    rows: tuple[tuple[int, bytes], ...] = field(repr=False)
    label: str = "adding parts"

    def run(self) -> Opened | None:
        size = self.terms.layout.vector_bytes
        copies: dict[Without, dict[int, bytes]] = {one: {} for one in self.scheme.parts()}
        for holder, row in self.rows:
            for one, part in zip(self.scheme.parts(holder), pieces(row, size), strict=True):
                copies[one][holder] = part
        total, liars = np.zeros(self.terms.layout.columns, dtype=np.uint64), set()
        for by_holder in copies.values():
            part, count = Counter(by_holder.values()).most_common(1)[0]
            if count <= self.scheme.committee.f:  # as many may lie
                return None
            add_into(total, from_bytes(part, total.size))
            liars |= {holder for holder, one in by_holder.items() if one != part}
        return Opened(total.tobytes(), digest_of(total.tobytes()), tuple(sorted(liars)))

    def cost_ms(self, columns: int) -> float:
        return 1e-5 * columns * len(self.rows) * len(self.scheme.parts())


REPLICATED = Entry(ReplicatedScheme, Promise("any {colluders} colluding lack a part of each update"))


@pytest.fixture(autouse=True)
def _listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SCHEMES, "replicated", REPLICATED)


class Drawn(Flat):
    """Has the same randomness in every simulation, so that the same members contribute the same vectors."""

    def contribute(self, site: int, work: Train, genesis: Genesis, entropy: bytes) -> Contribution:
        return Flat.contribute(self, site, work, genesis, hashlib.sha256(b"%d %d" % (site, work.round)).digest())


def simulated(scheme: str, **changes: Any) -> tuple[Result, Simulation]:
    """Run a federation; returns what happened, and what is left of it."""
    options = replace(Options(topology="complete", peers=4, rounds=3, parameters=50, scheme=scheme), **changes)
    simulation, recorder = build(None, options)
    simulation.setup = replace(simulation.setup, trainer=Drawn())
    finished = simulation.run(options.limit_ms)
    return result_of(options, simulation, recorder, finished), simulation


def weights_of(simulation: Simulation) -> set[bytes | None]:
    """Return the honest members' weights: all the same."""
    return {site.node.ctx.weights for site in simulation.honest if site.node is not None}


def evictions_of(simulation: Simulation) -> list[str]:
    """Return the reasons of the ledger's evictions."""
    bodies = [read_block(block.block).body for block in simulation.honest[0].disk.blocks]
    changes = [change for body in bodies if isinstance(body, Membership) for change in body.changes]
    return [change.reason for change in changes if isinstance(change, Evict)]


@pytest.mark.parametrize("peers", [4, 7])
def test_a_listed_scheme_comes_to_the_same_weights_as_plain(peers: int) -> None:
    plain, of_plain = simulated("plain", peers=peers)
    replicated, of_replicated = simulated("replicated", peers=peers)
    assert [row["outcome"] for row in replicated.table()] == ["decided"] * 3
    assert {row["contributors"] for row in (*plain.table(), *replicated.table())} == {peers}
    assert replicated.finished
    assert not replicated.broken
    assert not replicated.named
    assert "secrecy" in replicated.invariants
    (weights,) = weights_of(of_replicated)
    assert weights_of(of_plain) == {weights}
    assert weights not in (None, bytes(4 * 50))


def test_its_boxes_and_sums_have_the_size_that_it_says() -> None:
    layout = Layout(50, 5)
    of_four, of_seven = (ReplicatedScheme(Committee(tuple(bytes([one]) * 32 for one in range(n)))) for n in (4, 7))
    assert of_four.sum_bytes(layout) == 3 * layout.vector_bytes
    assert of_seven.sum_bytes(layout) == 15 * layout.vector_bytes
    sent = {
        scheme: sum(site["sent_bytes"] for site in simulated(scheme, parameters=20_000, rounds=1)[0].sites)
        for scheme in ("shamir", "replicated")
    }
    # Of 4 members a dealer sends 2 of 3 boxes in full, and a seed; here 3 boxes of 3 vectors, and 3 sums of 3.
    assert sent["replicated"] > 2.5 * sent["shamir"]


def test_a_simulation_charges_for_a_larger_model_than_it_computes_with() -> None:
    small, large = (simulated("replicated", parameters=size, ideal_crypto=True)[0] for size in (100_000, 1_000_000))
    assert [row["outcome"] for row in large.table()] == ["decided"] * 3
    assert 9 < large.sites[0]["sent_bytes"] / small.sites[0]["sent_bytes"] < 11
    assert memory_bytes(Options(scheme="replicated"), 12) == 0


@pytest.mark.parametrize(("liar", "reason"), [("1:mis-deal", "bad-dealing"), ("1:wrong-share", "wrong-sum")])
def test_a_liar_under_it_is_proved_to_be_one_and_evicted(liar: str, reason: str) -> None:
    result, simulation = simulated("replicated", peers=7, rounds=4, byzantine=(liar,))
    assert result.finished
    assert not result.broken
    assert set(result.named) == set(result.evicted)
    assert evictions_of(simulation) == [reason]
    assert len(weights_of(simulation)) == 1


def test_a_member_that_was_down_comes_back_into_its_rounds() -> None:
    outages = (Outage("2", 700, 3_000),)  # in the middle of the first round
    result, simulation = simulated("replicated", peers=7, rounds=6, outages=outages)
    assert result.crashes == 1
    assert [row["outcome"] for row in result.table()] == ["decided"] * 6
    assert not result.broken
    assert result.table()[-1]["contributors"] == 7
    assert len(weights_of(simulation)) == 1


@pytest.mark.parametrize("seed", range(10))
def test_random_scenarios_hold_all_invariants_under_it(seed: int) -> None:
    assert isinstance(found := run(replace(scenario_of(seed), scheme="replicated")), str), found


def test_a_genesis_may_name_it_while_it_is_listed() -> None:
    data = make_genesis(10, 4, scheme="replicated")[0].encode()
    assert read_genesis(data).scheme == "replicated"
    del SCHEMES["replicated"]
    with pytest.raises(GenesisError, match="scheme: there is no 'replicated'; this version has shamir, plain"):
        read_genesis(data)


def test_both_command_lines_offer_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parser().parse_args(["start", "--scheme", "replicated"]).scheme == "replicated"
    written = tmp_path / "run.json"
    small = ["--topology", "complete", "--peers", "4", "--rounds", "1", "--parameters", "50", "--quiet"]
    assert main(["simulate", "--scheme", "replicated", *small, "--json", str(written)]) == 0
    assert json.loads(written.read_text())["options"]["scheme"] == "replicated"
    assert "decided" in capsys.readouterr().out


def test_one_that_needs_consent_has_its_option_and_is_not_joined_without() -> None:
    SCHEMES["replicated"] = replace(REPLICATED, promise=Promise("the scheme is a toy", needs_consent=True))
    genesis = make_genesis(10, 4, scheme="replicated")[0]
    assert needed_options(genesis) == ("--allow-replicated",)
    home = Home(Path("/some/home"))
    with pytest.raises(NoConsent, match="the scheme is a toy.*peer start --home /some/home --allow-replicated"):
        Consent(genesis, Settings(), home, is_founder=False).check_genesis()
    given = vars(parser().parse_args(["start", "--allow-replicated"]))
    Consent(genesis, Settings().with_given(given), home, is_founder=False).check_genesis()
    assert "lack a part" not in Committee(tuple(bytes([one]) * 32 for one in range(4))).explain("replicated")
