"""The second half of a round: one sum a round leaves a member, and whoever opens it guesses nothing."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from chains import digest
from hypothesis import given, settings
from hypothesis import strategies as st
from members import identity
from signing import FEDERATION, members, prevote, signed

from coterie.crypto.field import P, evaluate
from coterie.crypto.vectors import fingerprint
from coterie.protocol.effects import Effects
from coterie.protocol.jobs import CheckedVector, CheckVector, SumShares
from coterie.protocol.ledger.blocks import Contributors
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.contribution import Layout
from coterie.protocol.ledger.evidence import contradiction, judge_points, wrong_sum
from coterie.protocol.limits import MAX_CHECKED_VECTORS, SUM_GRACE_MS
from coterie.protocol.messages.kinds import Prevote, SumShare
from coterie.protocol.records import Released
from coterie.protocol.round.summing import Summing
from coterie.protocol.schemes import scheme_of
from coterie.protocol.schemes.base import Opened, Terms
from coterie.protocol.timers import SumGrace

LAYOUT = Layout(parameters=3, wide=4)
SIZE = 8 * LAYOUT.columns


@dataclass
class Holder:
    """Member 0 of four, with its sum phase of round 7."""

    scheme: str = "shamir"
    holders: tuple[int, ...] = (0, 1, 2, 3)
    contributors: tuple[int, ...] = (0, 1, 2)
    base: bytes | None = bytes(12)
    out: Effects = field(init=False)
    summing: Summing = field(init=False)

    def __post_init__(self) -> None:
        self.ids = members(4)
        self.committee = Committee(tuple(one.public for one in self.ids))
        self.out = Effects(self.ids[0], FEDERATION, height=5)
        terms = Terms(FEDERATION, 7, digest("base"), self.committee.members, LAYOUT)
        body = Contributors(7, self.scheme, digest("base"), self.dealers, self.holders)
        scheme = scheme_of(self.scheme, self.committee)
        self.summing = Summing(self.out, body, self.committee, scheme, terms, 4.0, 1_024, self.base)

    @property
    def dealers(self) -> tuple[tuple[int, bytes], ...]:
        return tuple((index, digest(f"dealing {index}")) for index in self.contributors)

    @property
    def shares(self) -> dict[int, bytes]:
        """One's shares of the three contributors."""
        return {dealer: np.full(LAYOUT.columns, dealer + 1, dtype=np.uint64).tobytes() for dealer in range(3)}

    def work(self) -> list[Any]:
        return list(self.out.flush().work)

    def release(self, released: bytes | None = None) -> None:
        self.summing.release(None, self.shares, released)

    def sum_from(
        self, place: int, blob: bytes | None = bytes(SIZE), contributors: bytes | None = None, name: str = "blob"
    ) -> None:
        share = SumShare(7, contributors or self.summing.body.digest(), digest(name))
        self.summing.on_sum_share(signed(self.ids[place], share), blob)

    def faults(self) -> list[str]:
        return [notice.text for notice in self.out.flush().notify if notice.kind == "fault"]

    @property
    def alive(self) -> frozenset[bytes]:
        return frozenset(self.committee.members[1:])


# One's own sum.


def test_the_shares_of_the_decided_contributors_are_added_up() -> None:
    holder = Holder()
    holder.release()
    job = holder.work()[0]
    assert isinstance(job, SumShares)
    data, _ = job.run()
    assert np.frombuffer(data, dtype=np.uint64).tolist() == [6] * LAYOUT.columns


def test_a_release_is_durable_in_the_step_in_which_the_sum_is_sent() -> None:
    holder = Holder()
    holder.release()
    holder.summing.on_summed(bytes(SIZE), digest("sum"), holder.committee.members[2])
    step = holder.out.flush()
    assert step.persist == (Released(7, holder.summing.body.digest()),)
    assert [(send.to, send.blob) for send in step.send] == [(holder.committee.members[2], bytes(SIZE))]


def test_no_sum_is_sent_before_it_is_released() -> None:
    holder = Holder()
    holder.release()
    holder.summing.send_sum(holder.committee.members[2])
    assert holder.out.flush().send == ()


def test_in_a_round_in_which_another_sum_was_released_none_is() -> None:
    holder = Holder()
    holder.release(released=digest("another set"))
    step = holder.out.flush()
    assert step.work == ()
    assert "a sum for another contributor set was released before" in step.notify[0].text


def test_after_a_restart_the_same_sum_may_be_released_again() -> None:
    holder = Holder()
    holder.release(released=holder.summing.body.digest())
    assert [type(job) for job in holder.work()] == [SumShares]


@pytest.mark.parametrize("missing", range(3))
def test_who_lacks_a_share_of_a_contributor_releases_nothing(missing: int) -> None:
    holder = Holder()
    held = {dealer: share for dealer, share in holder.shares.items() if dealer != missing}
    holder.summing.release(None, held, None)
    assert holder.work() == []


def test_a_holder_outside_j_releases_its_sum_too() -> None:
    """It got its boxes after the contributors were decided, and holds the same share as if it had acked in time."""
    holder = Holder(holders=(1, 2, 3))
    holder.release()
    assert [type(job) for job in holder.work()] == [SumShares]


def test_in_plain_averaging_who_does_not_contribute_releases_nothing() -> None:
    holder = Holder(scheme="plain", contributors=(1, 2, 3))
    holder.summing.release(bytes(SIZE), holder.shares, None)
    assert holder.work() == []


def test_a_sum_is_added_up_once_however_often_it_is_asked_for() -> None:
    holder = Holder()
    for _ in range(3):
        holder.release()
    holder.summing.on_summed(bytes(SIZE), digest("sum"), holder.committee.members[2])
    holder.release()
    assert len(holder.work()) == 1


def test_each_new_aggregator_is_sent_the_same_sum_and_oneself_is_sent_none() -> None:
    holder = Holder()
    holder.release()
    holder.summing.on_summed(bytes(SIZE), digest("sum"), holder.committee.members[2])
    holder.summing.send_sum(holder.committee.members[3])
    holder.summing.send_sum(holder.committee.members[0])
    sent = holder.out.flush().send
    assert [send.to for send in sent] == [holder.committee.members[2], holder.committee.members[3]]
    assert holder.summing.missing() == (1, 2, 3), "one's own is there"


# The aggregator.


@pytest.mark.parametrize(
    ("blob", "contributors", "fault"),
    [
        (bytes(SIZE), digest("another set"), "a sum over another contributor set"),
        (bytes(SIZE - 1), None, f"a sum share of {SIZE - 1} bytes, not {SIZE}"),
        (b"", None, f"a sum share of 0 bytes, not {SIZE}"),
    ],
)
def test_a_sum_share_that_does_not_fit_is_refused_and_its_sender_named(
    blob: bytes, contributors: bytes | None, fault: str
) -> None:
    holder = Holder()
    holder.sum_from(1, blob, contributors)
    assert holder.faults() == [f"round 7: {fault}"]
    assert 1 in holder.summing.missing()


def test_the_first_sum_share_of_a_member_counts_and_those_of_outsiders_do_not() -> None:
    holder = Holder(holders=(0, 1, 2))
    holder.sum_from(1, b"\1" * SIZE)
    holder.sum_from(1, b"\2" * SIZE)
    holder.sum_from(3, b"\3" * SIZE)
    holder.summing.on_sum_share(
        signed(identity(20), SumShare(7, holder.summing.body.digest(), digest("b"))), bytes(SIZE)
    )
    assert holder.summing._rows == {1: b"\1" * SIZE, 3: b"\3" * SIZE}, "a late holder's counts, too"


def test_in_plain_averaging_the_numbers_of_who_does_not_contribute_do_not_count() -> None:
    holder = Holder(scheme="plain")
    holder.sum_from(1)
    holder.sum_from(3)
    assert holder.summing._rows == {1: bytes(SIZE)}


def test_a_large_sum_share_is_fetched_with_its_exact_size() -> None:
    holder = Holder()
    holder.sum_from(1, blob=None)
    fetch = holder.out.flush().fetch[0]
    assert (fetch.source, fetch.digest, fetch.size_bytes) == (holder.committee.members[1], digest("blob"), SIZE)


def test_of_all_the_sums_that_a_holder_announces_one_is_fetched_and_it_is_named() -> None:
    holder = Holder()
    for number in range(20):
        holder.sum_from(1, None, name=f"sum {number}")
    step = holder.out.flush()
    assert [fetch.digest for fetch in step.fetch] == [digest("sum 0")]
    assert {notice.text for notice in step.notify} == {"round 7: sent two different sums"}
    holder.sum_from(1, name="sum 0")
    assert 1 not in holder.summing.missing(), "and the first one counts still"


def test_the_sum_is_opened_at_once_when_all_that_are_alive_have_sent() -> None:
    holder = Holder()
    for place in (1, 2):
        holder.sum_from(place)
        holder.summing.try_open(holder.alive, 5, 0)
    assert holder.work() == []
    holder.sum_from(3)
    holder.summing.try_open(holder.alive, 5, 0)
    assert len(holder.work()) == 1


def test_the_sum_is_opened_without_who_is_gone() -> None:
    holder = Holder()
    holder.summing._rows[0] = bytes(SIZE)
    for place in (1, 2):
        holder.sum_from(place)
    holder.summing.try_open(holder.alive - {holder.committee.members[3]}, 5, 0)
    assert len(holder.work()) == 1


def test_who_is_alive_and_late_is_waited_for_a_grace_time() -> None:
    holder = Holder()
    holder.summing._rows[0] = bytes(SIZE)
    for place in (1, 2):
        holder.sum_from(place)
    holder.summing.try_open(holder.alive, 5, 0)
    step = holder.out.flush()
    assert (step.work, step.timers[0].after_ms, step.timers[0].key) == ((), SUM_GRACE_MS, SumGrace(5, 0))
    holder.summing.try_open(holder.alive, 5, 0, after_grace=True)
    assert len(holder.work()) == 1


def test_fewer_than_k_plus_f_are_never_opened() -> None:
    holder = Holder()
    holder.sum_from(1)
    holder.sum_from(2)
    holder.summing.try_open(frozenset(), 5, 0, after_grace=True)
    assert holder.work() == []


def test_what_did_not_open_is_tried_again_with_more_and_not_with_the_same() -> None:
    holder = Holder()
    for place in (1, 2, 3):
        holder.sum_from(place)
    holder.summing.try_open(frozenset(), 5, 0)
    holder.summing.on_opened(None)
    holder.out.flush()
    holder.summing.try_open(frozenset(), 5, 0)
    assert holder.work() == []
    holder.summing._rows[0] = bytes(SIZE)
    holder.summing.try_open(frozenset(), 5, 0)
    assert len(holder.work()) == 1


def test_liars_that_the_opening_finds_are_named() -> None:
    holder = Holder()
    holder.summing.on_opened(Opened(bytes(SIZE), digest("W"), (2,)))
    step = holder.out.flush()
    assert [notice.facts["member"] for notice in step.notify] == [holder.committee.members[2]]
    assert [type(job) for job in step.work] == [CheckVector]


# Checking W.


def test_the_challenge_depends_on_the_sum_the_contributors_and_the_round_and_on_nothing_else() -> None:
    holder = Holder()
    kappa = holder.summing.challenge(digest("W"))
    holder.out.view = 3
    assert holder.summing.challenge(digest("W")) == kappa, "not on the view"
    assert holder.summing.challenge(digest("V")) != kappa
    assert Holder(holders=(0, 1, 2)).summing.challenge(digest("W")) != kappa


def checked(name: str) -> CheckedVector:
    return CheckedVector(bytes(SIZE), digest(name), (1, 1, 1, 1), b"", digest("w"), digest("b"), (0, 0), None)


def checked_there(holder: Holder, name: str) -> None:
    """This W comes and is checked."""
    assert holder.summing.check(digest(name), bytes(SIZE))
    holder.summing.on_checked(checked(name))
    holder.summing.check_deferred()


def held(holder: Holder) -> int:
    """How many vectors are checked or being checked."""
    return len(holder.summing.checked.keys() | holder.summing._running)


def test_no_more_vectors_are_held_than_the_limit_and_those_that_are_needed_stay() -> None:
    holder = Holder()
    holder.summing.on_opened(Opened(bytes(SIZE), digest("opened"), ()))
    holder.summing.on_checked(checked("opened"))
    checked_there(holder, "proved")
    assert prove(holder, (0, 0), (0, 1, 2), "proved")
    holder.summing.on_table = digest("on the table")
    checked_there(holder, "on the table")
    for number in range(30):
        checked_there(holder, f"{number}")
        assert held(holder) <= MAX_CHECKED_VECTORS
    for name in ("opened", "proved", "on the table", "29"):
        assert holder.summing.verdict(digest(name)) == checked(name)
    assert not holder.summing.holds(digest("28"))


def test_what_is_being_checked_is_not_dropped_and_what_comes_meanwhile_waits() -> None:
    holder = Holder()
    names = [f"{number}" for number in range(2 * MAX_CHECKED_VECTORS)]
    for name in names:
        assert holder.summing.check(digest(name), bytes(SIZE))
    first, later = names[:MAX_CHECKED_VECTORS], names[MAX_CHECKED_VECTORS:]
    assert [job.vector_hash for job in holder.work()] == [digest(name) for name in first]
    for done, waited in zip(first, later, strict=True):
        holder.summing.on_checked(checked(done))
        assert holder.summing.verdict(digest(done)) == checked(done), "until it was looked at"
        holder.summing.check_deferred()
        assert [job.vector_hash for job in holder.work()] == [digest(waited)]
        assert held(holder) <= MAX_CHECKED_VECTORS


@pytest.mark.parametrize("is_on_the_table", [False, True])
def test_of_what_waits_to_be_checked_the_oldest_go_but_for_what_is_to_be_voted_on(is_on_the_table: bool) -> None:
    holder = Holder()
    for number in range(MAX_CHECKED_VECTORS):
        holder.summing.check(digest(f"running {number}"), bytes(SIZE))
    if is_on_the_table:
        holder.summing.on_table = digest("waiting 0")
    for number in range(30):
        holder.summing.check(digest(f"waiting {number}"), bytes(SIZE))
        assert len(holder.summing._deferred) <= MAX_CHECKED_VECTORS
    assert holder.summing.holds(digest("waiting 0")) is is_on_the_table
    assert holder.summing.holds(digest("waiting 29"))
    holder.work()
    holder.summing.on_check_failed(digest("running 0"))
    holder.summing.check_deferred()
    first = "waiting 0" if is_on_the_table else f"waiting {30 - MAX_CHECKED_VECTORS}"
    assert [job.vector_hash for job in holder.work()] == [digest(first)]


def test_without_the_base_model_nothing_can_be_checked() -> None:
    holder = Holder(base=None)
    assert not holder.summing.check(digest("W"), bytes(SIZE))
    assert holder.work() == []


def test_a_vector_is_checked_with_ones_own_sum_even_if_that_comes_later() -> None:
    holder = Holder()
    holder.release()
    assert holder.summing.check(digest("W"), bytes(SIZE))
    assert [type(job) for job in holder.work()] == [SumShares]
    own = np.arange(LAYOUT.columns, dtype=np.uint64).tobytes()
    holder.summing.on_summed(own, digest("sum"), holder.committee.members[2])
    job = holder.work()[0]
    assert isinstance(job, CheckVector)
    assert (job.vector_hash, job.own_sum) == (digest("W"), own)


@pytest.mark.parametrize("ends", ["before the adding up", "during the adding up", "after the adding up"])
def test_a_vector_that_was_checked_without_ones_own_sum_is_checked_again_with_it(ends: str) -> None:
    holder = Holder()
    holder.summing.check(digest("W"), bytes(SIZE))
    if ends == "before the adding up":
        holder.summing.on_checked(checked("W"))
        assert holder.summing.verdict(digest("W")) is not None, "there is no sum to wait for"
    holder.release()
    if ends == "during the adding up":
        holder.summing.on_checked(checked("W"))
        assert holder.summing.verdict(digest("W")) is None, "its z is about to come"
    holder.work()
    holder.summing.on_summed(bytes(SIZE), digest("sum"), holder.committee.members[2])
    if ends == "after the adding up":
        holder.summing.on_checked(checked("W"))
        holder.summing.check_deferred()
    assert holder.summing.verdict(digest("W")) is None
    assert [job.own_sum for job in holder.work()] == [bytes(SIZE)]
    holder.summing.on_checked(replace(checked("W"), own=(7, 8)))
    found = holder.summing.verdict(digest("W"))
    assert found is not None
    assert found.own == (7, 8)
    assert holder.work() == []


@pytest.mark.parametrize("is_checked_before", [False, True])
def test_where_the_shares_cannot_be_added_up_what_was_checked_without_their_sum_will_do(
    is_checked_before: bool,
) -> None:
    holder = Holder()
    holder.summing.check(digest("W"), bytes(SIZE))
    if is_checked_before:
        holder.summing.on_checked(checked("W"))
    holder.release()
    if not is_checked_before:
        holder.summing.on_checked(checked("W"))
    holder.work()
    holder.summing.on_unsummed("no memory")
    assert [type(job) for job in holder.work()] == [CheckVector], "its end reaches whoever waits for it"
    holder.summing.on_checked(checked("W"))
    assert holder.summing.verdict(digest("W")) == checked("W")
    assert holder.work() == []


def test_the_check_of_a_sum_that_is_decided_meanwhile_leaves_nothing_behind() -> None:
    holder = Holder()
    holder.summing.check(digest("W"), bytes(SIZE))
    holder.summing.close()
    holder.summing.on_checked(checked("W"))
    holder.summing.check_deferred()
    assert not holder.summing.holds(digest("W"))


# What prevotes prove.


@st.composite
def judged_points(draw: st.DrawFn) -> tuple[Committee, dict[int, tuple[int, int]], set[int], tuple[int, int]]:
    """Points of two polynomials by holder, some of them off one or both; the liars; the secrets."""
    committee = Committee(tuple(digest(f"{number}") for number in range(draw(st.integers(3, 10)))))
    elements = st.integers(0, P - 1)
    polynomials = [draw(st.lists(elements, min_size=committee.threshold, max_size=committee.threshold)) for _ in "YZ"]
    places = draw(st.sets(st.integers(0, committee.n - 1), min_size=1))
    points = {j: (evaluate(polynomials[0], j + 1), evaluate(polynomials[1], j + 1)) for j in places}
    liars = draw(st.sets(st.sampled_from(sorted(places)), max_size=committee.f))
    for liar in liars:
        off = draw(st.sampled_from([(1, 0), (0, 1), (5, 7)]))
        points[liar] = ((points[liar][0] + off[0]) % P, (points[liar][1] + off[1]) % P)
    return committee, points, liars, (polynomials[0][0], polynomials[1][0])


@settings(max_examples=150)
@given(judged_points())
def test_what_k_plus_f_honest_points_prove_is_right_and_only_liars_are_named(
    case: tuple[Committee, dict[int, tuple[int, int]], set[int], tuple[int, int]],
) -> None:
    committee, points, liars, secrets = case
    judged = judge_points(points, committee)
    honest = len(points) - len(liars)
    if honest < committee.sum_quorum:
        assert judged is None, "never a guess"
    elif judged is not None:
        assert (judged.secret, judged.liars) == (secrets, tuple(sorted(liars)))
        assert all(judged.fits(index, point) is (index not in liars) for index, point in points.items())
    else:
        assert 2 * len(liars) > len(points) - committee.threshold, "too many errors for so few points"


def test_a_point_that_is_no_field_element_is_a_lie() -> None:
    committee = Committee(tuple(digest(f"{number}") for number in range(4)))
    points = {j: (5 + 7 * (j + 1), 3) for j in range(4)}
    points[2] = (P + points[2][0], 3)
    judged = judge_points(points, committee)
    assert judged is not None
    assert (judged.secret, judged.liars) == ((5, 3), (2,))
    assert not judged.fits(2, points[2])


def test_only_prevotes_of_holders_for_that_block_at_that_height_speak_against_anybody() -> None:
    ids = members(4)
    committee = Committee(tuple(one.public for one in ids))
    good = [signed(one, Prevote(digest("block"), (5 + 7 * (j + 1), 3)), 9) for j, one in enumerate(ids)]
    lie = signed(ids[3], Prevote(digest("block"), (1, 3)), 9)
    others = [
        signed(ids[3], Prevote(digest("another"), (1, 3)), 9),
        signed(ids[3], Prevote(digest("block"), (1, 3)), 8),
        signed(identity(20), Prevote(digest("block"), (1, 3)), 9),
        prevote(ids[3], 0, digest("block"), height=9),
    ]
    assert wrong_sum([*good[:3], lie], 9, digest("block"), committee) == (ids[3].public,)
    for other in others:
        assert wrong_sum([*good[:3], other], 9, digest("block"), committee) == ()
    assert contradiction([good[3], lie]) is None, "and two z's for one block are no double vote"


def test_a_prevote_that_carries_no_z_proves_nothing_and_harms_nobody() -> None:
    holder = Holder()
    votes = {one.public: prevote(one, 0, digest("block")) for one in holder.ids}
    assert holder.summing.proofs.judge(votes) is None
    assert not holder.summing.proves(digest("W"), votes)


def prove(holder: Holder, secret: tuple[int, int], places: tuple[int, ...], name: str = "W") -> bool:
    """Whether prevotes with points of a line through this secret prove a W."""
    votes = {
        holder.ids[j].public: signed(holder.ids[j], Prevote(digest("b"), (secret[0] + 7 * (j + 1), secret[1])))
        for j in places
    }
    return holder.summing.proves(digest(name), votes)


def test_a_sum_is_proved_by_k_plus_f_points_whose_secret_is_its_fingerprint() -> None:
    holder = Holder()
    holder.summing.checked[digest("W")] = replace(checked("W"), secret=(5, 3))
    assert not prove(holder, (5, 3), (0, 1)), "too few"
    assert not prove(holder, (6, 3), (0, 1, 2, 3)), "another sum"
    assert not prove(holder, (5, 4), (0, 1, 2, 3))
    assert prove(holder, (5, 3), (0, 1, 2))
    assert prove(holder, (5, 3), (0, 1, 2, 3))
    assert prove(holder, (5, 3), (0, 1)), "what was proved once stays proved, whoever votes in a later view"


def test_in_plain_averaging_the_points_of_all_contributors_add_up_and_one_missing_proves_nothing() -> None:
    holder = Holder(scheme="plain")
    rows = [np.full(LAYOUT.columns, place + 1, dtype=np.uint64) for place in range(3)]
    kappa = holder.summing.challenge(digest("W"))
    points = {place: fingerprint(kappa, row) for place, row in enumerate(rows)}
    judged = holder.summing.scheme.judge(holder.summing.choice, points)
    assert judged is not None
    assert judged.secret == fingerprint(kappa, np.full(LAYOUT.columns, 6, dtype=np.uint64))
    del points[1]
    assert holder.summing.scheme.judge(holder.summing.choice, points) is None
