"""A peer takes part in a federation that hides less than the default only if its operator has said so."""

import json
from pathlib import Path

import numpy as np
import pytest
from cluster import Cluster, Site
from members import make_genesis

from coterie.peer.cli.main import parser
from coterie.peer.errors import Exit
from coterie.peer.federation.consent import Consent, NoConsent, allow_option, allowing, join_note
from coterie.peer.home.folder import Home
from coterie.peer.home.settings import Settings, read_settings
from coterie.protocol.events import Send
from coterie.protocol.jobs import Contribution, Train
from coterie.protocol.ledger.committee import Committee
from coterie.protocol.ledger.genesis import Genesis
from coterie.protocol.ledger.privacy import PROMISES
from coterie.protocol.records import Dealt
from coterie.protocol.scheme_registry import SCHEMES

HOME = Home(Path("/some/home"))


def consent(genesis: Genesis, is_founder: bool = False, **settings: object) -> Consent:
    return Consent(genesis, Settings().with_given(settings), HOME, is_founder)


def committee(n: int, configured: int = 0) -> Committee:
    return Committee(tuple(bytes([index]) * 32 for index in range(n)), configured)


def test_every_scheme_says_what_it_hides_and_one_that_needs_consent_has_its_option() -> None:
    assert set(SCHEMES) == set(PROMISES)
    (start,) = [action.choices["start"] for action in parser()._actions if getattr(action, "choices", None)]
    for scheme, promise in PROMISES.items():
        assert promise.needs_consent == (scheme in Settings().with_given({allowing(scheme): True}).accepted)
        assert promise.needs_consent == (allow_option(scheme) in start.format_help())
        for threshold, hidden in ((2, "no single member learns anything"), (3, "any 2 colluding learn nothing")):
            assert promise.needs_consent == (hidden not in promise.told(threshold))


def test_a_member_of_a_plain_federation_is_told_that_nothing_is_hidden() -> None:
    cluster = Cluster(4, make_genesis(rounds=1, min_peers=4, scheme="plain"))
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    told = [notice for notice in cluster.sites[2].notices if notice.kind == "committee"]
    assert told
    assert all("plain hides nothing" in one.text and "learn nothing" not in one.text for one in told)


def test_plain_is_joined_only_by_who_allowed_it() -> None:
    genesis = make_genesis(scheme="plain")
    with pytest.raises(NoConsent, match="plain hides nothing.*peer start --home /some/home --allow-plain") as caught:
        consent(genesis).check_genesis()
    assert caught.value.code is Exit.CONSENT
    consent(genesis, allow_plain=True).check_genesis()
    consent(genesis, is_founder=True).check_genesis()
    consent(make_genesis()).check_genesis()


def test_what_an_operator_accepted_is_kept_in_the_home_and_can_be_taken_back() -> None:
    accepted = Settings().with_given({allowing("plain"): True})
    assert accepted.accepted == ("plain",)
    assert json.loads(accepted.encode())["allow_plain"] is True
    assert read_settings(accepted.encode()) == accepted.with_given({"rounds": 0})
    assert json.loads(Settings().encode())["allow_plain"] is False
    assert read_settings(Settings().encode()) == accepted.with_given({allowing("plain"): False}) == Settings()


def test_a_threshold_below_the_default_is_joined_only_by_who_allowed_it() -> None:
    genesis = make_genesis(threshold=2, min_peers=6)
    with pytest.raises(
        NoConsent, match="2 members of 6 together can open an update.*default is 4.*--allow-threshold 2"
    ):
        consent(genesis).check_genesis()
    with pytest.raises(NoConsent):
        consent(genesis, allow_threshold=3).check_genesis()
    consent(genesis, allow_threshold=2).check_genesis()
    consent(genesis, is_founder=True).check_genesis()
    consent(make_genesis(threshold=5, min_peers=6)).check_genesis()


def test_a_federation_that_grows_until_the_threshold_is_below_the_default_asks_again() -> None:
    one = consent(make_genesis(threshold=2, min_peers=4))
    one.check_genesis()
    one.check(committee(4, 2))
    with pytest.raises(NoConsent, match="--allow-threshold 2"):
        one.check(committee(5, 2))


@pytest.mark.parametrize("n", range(3, 20))
def test_the_default_threshold_is_that_of_no_configuration(n: int) -> None:
    assert committee(n).threshold == committee(n, 2).default_threshold == committee(n, n).default_threshold


def test_the_line_for_those_that_join_says_what_they_have_to_accept_and_does_not_accept_it_for_them() -> None:
    assert join_note(make_genesis()) == ""
    note = join_note(make_genesis(scheme="plain"))
    assert "hides nothing" in note
    assert "--allow-plain" in note
    assert "--allow-threshold 2" in join_note(make_genesis(threshold=2, min_peers=6))


def sent_in_the_clear(guarded: bool) -> bool:
    """Whether a member that has not accepted `plain` sends its own numbers to another one for all to read."""
    cluster = Cluster(4, make_genesis(rounds=1, min_peers=4, scheme="plain"))
    victim = cluster.sites[2]
    clear: list[bytes] = []
    asked = consent(cluster.genesis)

    def train(work: Train) -> Contribution:
        if guarded:
            assert victim.node is not None
            asked.check(victim.node.state.committee)
        return Contribution(7, (4.0, 8.0), bytes(32), np.full(6, 1.25, np.float32) if work.kind == "train" else None)

    def look(site: Site, send: Send) -> None:
        if site is victim and send.blob is not None:
            clear.append(send.blob)

    victim.train = train
    cluster.before_send = look
    cluster.start()
    cluster.run(lambda: cluster.all_at("finished"))
    return any(one.vector in clear for one in victim.disk.records if isinstance(one, Dealt))


def test_without_consent_no_update_leaves_a_member_in_the_clear() -> None:
    assert not sent_in_the_clear(guarded=True)
    assert sent_in_the_clear(guarded=False)
