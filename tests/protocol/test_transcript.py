"""A whole round of four peers, message by message, as a file that a person can read.

``UPDATE_TRANSCRIPTS=1 pytest tests/protocol/test_transcript.py`` writes it anew; read the difference before committing
it, because it is what the change does to everybody.
"""

import difflib
import os
from pathlib import Path

from cluster import Cluster, make_genesis
from transcript import Transcript

FILE = Path(__file__).parent / "transcripts" / "round_of_four.txt"

HEAD = """\
One round of four peers, as tests/protocol/test_transcript.py has them run it: nobody lies, nothing is lost, a message
takes 8 to 12 milliseconds. The file is compared exactly; UPDATE_TRANSCRIPTS=1 writes it anew.

f is 1: agreement takes 3 votes of 4. K is 2: two shares open a sum, and 3 that agree pin it down. What a step writes
down is durable before what it says leaves; then come the reports for people. A number is the time in milliseconds;
four hexadecimal digits stand for a hash.

Read it like this: all have trained (not shown); they deal their updates out and check each other's shares. Once
everybody has acked everybody, one proposes who contributes. That is decided, so all release the sums of their shares,
to the one whose turn it is now. It opens the sum of the updates and proposes the model. All check it, prove with their
prevotes that the sum is right, and the model is decided.

"""


def round_of_four() -> str:
    cluster = Cluster(4, make_genesis(min_peers=4, rounds=1, round_interval_ms=1_000), seed=4, latency_ms=(8, 12))
    transcript = Transcript(cluster)
    cluster.start()
    cluster.run(lambda: cluster.all_at("sharing") and len(cluster.running()) == 4)
    cluster.run_for(500)  # the rest before the round: the newcomers fetch the model
    transcript.begin()
    cluster.run(lambda: all(site.node is not None and site.node.state.round == 2 for site in cluster.sites))
    return HEAD + transcript.text()


def test_a_round_of_four_goes_as_it_is_written() -> None:
    text = round_of_four()
    if os.environ.get("UPDATE_TRANSCRIPTS"):
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(text, encoding="utf-8")
    known = FILE.read_text(encoding="utf-8")
    difference = difflib.unified_diff(known.splitlines(), text.splitlines(), "as written", "as it went", lineterm="")
    assert text == known, "\n".join(difference)


def test_the_same_seed_gives_the_same_transcript() -> None:
    assert round_of_four() == round_of_four()
