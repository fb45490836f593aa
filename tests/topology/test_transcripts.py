"""What members say to each other when things go well, and when they do not, as files that a person can read.

``UPDATE_TRANSCRIPTS=1 pytest tests/topology/test_transcripts.py`` writes them anew; read the difference before
committing it, because it is what the change does to everybody. What each story is there to show is asserted beside
that, so that a file that is written anew still tells it.
"""

import difflib
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from coterie.protocol.events import Event, Step
from coterie.protocol.records import Dealt
from coterie.topology.engine.simulation import Observer
from coterie.topology.engine.site import CrashPoint, Site
from coterie.topology.faults.joins_and_leaves import Coming
from coterie.topology.reporting.transcript import Transcript
from coterie.topology.sweep.scenarios import Scenario, build

FOLDER = Path(__file__).parent / "transcripts"
LIMIT_MS = 60_000

HEAD = """\
{title}

{about}

A number is the time in milliseconds; four hexadecimal digits stand for a hash; places of peers are their numbers. What
a step writes down is durable before what it says leaves; then come the reports for people. Made and compared exactly
by tests/topology/test_transcripts.py.

"""


@dataclass(frozen=True)
class Story:
    """A scenario, what it shows, and what has to be in it, in this order."""

    title: str
    about: str
    scenario: Scenario
    shows: tuple[str, ...]


def scenario(**changes: object) -> Scenario:
    return Scenario(seed=4, rounds=1, latency_ms=(8, 12), **changes)  # type: ignore[arg-type]


STORIES = {
    "round_of_four": Story(
        "One round of four peers",
        "Nobody lies, nothing is lost. f is 1: agreement takes 3 votes of 4. K is 2: two shares open a sum, and 3 "
        "that agree pin it down. All deal their updates out and check each other's shares. Once everybody has "
        "acked everybody, one proposes who contributes. That is decided, so all release the sums of their shares, "
        "to the one whose turn it is now. It opens the sum of the updates and proposes the model. All check it, "
        "prove with their prevotes that the sum is right, and the model is decided.",
        scenario(),
        (
            r"writes down its dealing of round 1\n.*here is your share of my update for round 1",
            r"I hold shares of round 1 from peers 0 1 2 3",
            r"PROPOSAL in view 0: Contributors of round 1, peers 0 1 2 3, held by peers 0 1 2 3",
            r"writes down that it releases its sum of round 1 .*\n(.*\n)*.*the sum of my shares of round 1",
            r"PROPOSAL in view 0: Model of round 1",
            r"PREVOTE in view 0: \w+, with my fingerprint of the sum",
            r"decided by 3 precommits: Model of round 1",
        ),
    ),
    "void": Story(
        "A round that is void",
        "Peer 2 deals numbers that encode no update. The sum opens, and nobody can use it: that is decided at "
        "once, with proof that the sum is the right one, in the time of a good round.",
        scenario(byzantine=("2=non-encoding",)),
        (
            r"decided by 3 precommits: Contributors of round 1",
            r"PROPOSAL in view 0: Void of round 1 for want of a sum of contributions",
            r"PREVOTE in view 0: \w+, with my fingerprint of the sum",
            r"decided by 3 precommits: Void of round 1",
        ),
    ),
    "complaint": Story(
        "A complaint",
        "Peer 2 seals garbage for one holder. The holder shows everybody the box and what opens it. Those that "
        "find it right say so under their own name, and the dealer is evicted.",
        scenario(byzantine=("2=garbage-box",)),
        (
            r"the share from peer 2 is false, as its box proves",
            r"I opened the box, too: the share from peer 2 is false",
            r"Membership, peer 2 is evicted \(bad-dealing\)",
        ),
    ),
    "liar_among_the_holders": Story(
        "A liar among the holders, and its eviction",
        "Peer 2 sends a wrong sum share and a fingerprint that fits it. The aggregator opens the sum without it, "
        "and the prevotes prove who is off: it is named, and evicted.",
        scenario(byzantine=("2=wrong-share",)),
        (
            r"decided by 3 precommits: Contributors of round 1, peers 0 1 2 3",
            r"a wrong sum share, as its prevote proves",
            r"decided by 3 precommits: Model of round 1",
            r"Membership, peer 2 is evicted \(wrong-sum\)",
        ),
    ),
    "join_in_mid_round": Story(
        "A newcomer in the middle of a round",
        "Peer 4 asks to be admitted while a sum is open. The ledger admits it. It fetches the blocks and the "
        "model, and takes part from the next round on.",
        Scenario(seed=4, rounds=3, latency_ms=(8, 12), comings=(Coming(4, 1, "contributors"),)),
        (
            r"asks to be admitted",
            r"Membership, peer 4 joins",
            r"send me the blocks from height \d on",
            r"send me the model",
            r"Contributors of round [23], peers 0 1 2 3 4",
        ),
    ),
    "restart": Story(
        "A member that crashes and comes back",
        "Peer 1 crashes after its first vote is written down and before it is sent. It comes back, asks the "
        "others what they saw of it, repeats that vote, and goes on.",
        scenario(crashes=((1, CrashPoint("after", 0, "VoteCast", 900)),)),
        (
            r"peer 1  writes down its prevote of view 0\n\n?.*crashes",
            r"peer 1  starts again",
            r"peer 1  .*what did you see of me\?",
            r"I am at height",
            r"peer 1  (.*\n)*.*decided by 3 precommits: Model of round 1",
        ),
    ),
    "view_change": Story(
        "An aggregator that says nothing",
        "Peer 2 takes everything in and says nothing, in its turn neither. The others wait for its proposal, vote "
        "for nil, and go on to the next view, where it is somebody else's turn.",
        scenario(byzantine=("2=silent",)),
        (
            r"PREVOTE in view 0: nil",
            r"PRECOMMIT in view 0: nil",
            r"PROPOSAL in view 1",
            r"decided by 3 precommits: Model of round 1",
        ),
    ),
    "dispute": Story(
        "A dispute",
        "Peer 2 does not deal to one member, which therefore lacks its share at the deadline. Whose fault that is "
        "nobody can see. It is settled: dealers hand the sealed boxes of acks that are missing to others, that "
        "keep them.",
        scenario(byzantine=("2=refuse",)),
        (
            r"my deadline has passed",
            r"the box of peer \d for peer \d of round 1",
            r"and keep \d boxes for others",
            r"decided by 3 precommits: Contributors of round 1",
        ),
    ),
    "eviction": Story(
        "An eviction for two dealings",
        "Peer 2 deals twice: something else to one half of the members than to the other. Both dealings are "
        "signed, and together a proof that anybody can check. It is shown to all. Peer 2 is evicted, and nothing "
        "that it dealt counts.",
        scenario(byzantine=("2=twin-deal",)),
        (
            r"two statements of one member that contradict each other",
            r"Membership, peer 2 is evicted \(double-deal\)",
            r"decided by 3 precommits: Contributors of round 1, peers 0 1 3",
        ),
    ),
    "false_proof": Story(
        "A dealing whose proof is false",
        "Dealings prove themselves here. Peer 2 deals an update that is not one, with a proof that lies. Each member "
        "sees that from the dealing alone, refuses it, and shows it to all. Peer 2 is evicted on this evidence, and "
        "the others sum their updates in the same round.",
        scenario(byzantine=("2=false-proof",), is_proved=True),
        (
            r"round 1: dealt what its proof does not show to be an update",
            r"Membership, peer 2 is evicted \(false-proof\)",
            r"decided by 3 precommits: Contributors of round 1, peers 0 1 3",
            r"Model",
        ),
    ),
    "refused_newcomer": Story(
        "A newcomer that is refused",
        "Peer 2 was evicted for cheating in round 1, and asks to be admitted again. Nobody proposes it.",
        Scenario(seed=4, rounds=2, latency_ms=(8, 12), byzantine=("2=twin-deal",)),
        (
            r"Membership, peer 2 is evicted",
            r"-> .*: 2 asks to be admitted",
            r"refused: a join of somebody who was evicted for cheating",
            r"Contributors of round 2, peers 0 1 3, held by peers 0 1 3",
        ),
    ),
    "repetition": Story(
        "A sum that failed is repeated",
        "Peer 2 makes a sum fail by numbers that encode nothing. Whoever saw that sum may know it, so on the same "
        "model only exactly the same members are summed again.",
        Scenario(seed=4, rounds=2, latency_ms=(8, 12), byzantine=("2=non-encoding",)),
        (
            r"decided by 3 precommits: Void of round 1",
            r"Contributors of round 2, peers 0 1 2 3",
        ),
    ),
}


class Beginning(Observer):
    """Has a transcript begin with the first dealing: how the members find each other, and training, are not shown."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript, self._has_begun = transcript, False

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not self._has_begun and any(isinstance(record, Dealt) for record in step.persist):
            self._has_begun = True
            self._transcript.begin()


def told(story: Story) -> str:
    """Run a story and return it as it stands in its file."""
    simulation, transcript = build(story.scenario), Transcript(most=None)
    simulation.watch(Beginning(transcript), transcript)
    assert simulation.run(LIMIT_MS)
    return HEAD.format(title=story.title, about=textwrap.fill(story.about, 110)) + "\n".join(transcript.lines) + "\n"


@pytest.mark.parametrize("name", STORIES)
def test_a_story_goes_as_it_is_written(name: str) -> None:
    story, path = STORIES[name], FOLDER / f"{name}.txt"
    text = told(story)
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        path.write_text(text, encoding="utf-8")
    known = path.read_text(encoding="utf-8")
    difference = difflib.unified_diff(known.splitlines(), text.splitlines(), "as written", "as it went", lineterm="")
    assert text == known, "\n".join(difference)
    place = text.index("Made and compared")
    for pattern in story.shows:
        found = re.compile(pattern).search(text, place)
        assert found is not None, f"nothing like {pattern!r} from character {place} on"
        place = found.end()


def test_the_same_seed_gives_the_same_transcript() -> None:
    story = STORIES["round_of_four"]
    assert told(story) == told(story)
