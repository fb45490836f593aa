"""The facts of a running peer as Prometheus reads them, under names like CometBFT's; docs/page.md explains each."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from ...protocol.ledger.phases import Phase
from .history import History

Json = dict[str, Any]
Sample = tuple[Mapping[str, str], float | None]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

METRICS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "coterie_up": ("gauge", "1 while this peer is in a federation, 0 while it looks for one"),
        "coterie_uptime_seconds": ("gauge", "Seconds since this peer was started"),
        "coterie_height": ("gauge", "Height of the newest block in this peer's ledger"),
        "coterie_round": ("gauge", "Number of the current round"),
        "coterie_trained_rounds": ("gauge", "Rounds that the model was trained for"),
        "coterie_view": ("gauge", "View of the agreement at this height: aggregators that were given up"),
        "coterie_phase": ("gauge", "1 for the phase that the current round is in, 0 for the others"),
        "coterie_members": ("gauge", "Members of the federation"),
        "coterie_members_connected": ("gauge", "Members that this peer has a link to, itself among them"),
        "coterie_members_missing": ("gauge", "Members that this peer has no link to"),
        "coterie_members_late": ("gauge", "Members that the current round waits for"),
        "coterie_members_faulty": ("gauge", "Peers whose frames were bad since this peer was started"),
        "coterie_quorum": ("gauge", "Votes that decide"),
        "coterie_threshold": ("gauge", "K: shares that open a sum"),
        "coterie_tolerated_faults": ("gauge", "f: members that may lie or stall"),
        "coterie_stalled": ("gauge", "1 while nothing can be decided, as too few members can be reached"),
        "coterie_paused": ("gauge", "1 while training waits for more members"),
        "coterie_missed_rounds": ("gauge", "Rounds in a row that a member was not among the contributors"),
        "coterie_beat_age_seconds": ("gauge", "Seconds since the last heartbeat of a member"),
        "coterie_rtt_seconds": ("gauge", "Seconds that a heartbeat to a member and back took"),
        "coterie_loss": ("gauge", "Loss of the agreed model before its last round, over all members' test rows"),
        "coterie_metric": ("gauge", "A metric of the agreed model, by its name, over all members' test rows"),
        "coterie_round_seconds": ("summary", "Seconds of the rounds that began and ended since this peer was started"),
        "coterie_last_round_seconds": ("gauge", "Seconds of the newest round that has ended"),
        "coterie_last_round_bytes": ("gauge", "Bytes that this peer sent and received in that round"),
        "coterie_rounds_total": ("counter", "Rounds that ended since this peer was started, by their result"),
        "coterie_bytes_total": ("counter", "Bytes on all links since this peer was started"),
        "coterie_faults_total": ("counter", "Faults of peers that were told since this peer was started, by kind"),
        "coterie_evictions_total": ("counter", "Members that were evicted since this peer was started"),
    }
)
"""Type and explanation of each metric."""


def metrics_text(status: Json, history: History) -> bytes:
    """Return all metrics that have a value now."""
    lines: list[str] = []
    for name, samples in _samples(status, history):
        kind, explained = METRICS[name.removesuffix("_sum").removesuffix("_count")]
        told = [
            f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples if value is not None
        ]  # a value that is not known is left out
        if told and not name.endswith("_count"):
            lines += [f"# HELP {name.removesuffix('_sum')} {explained}", f"# TYPE {name.removesuffix('_sum')} {kind}"]
        lines += told
    return "\n".join([*lines, ""]).encode()


def _samples(status: Json, history: History) -> Iterator[tuple[str, Iterable[Sample]]]:
    is_member = "height" in status
    yield "coterie_up", _one(float(is_member))
    yield "coterie_uptime_seconds", _one(status.get("uptime_seconds"))
    if is_member:
        yield from _ledger_samples(status)
        yield from _member_samples(status)
        yield "coterie_members_faulty", _one(len(status.get("faults", {})))
        yield "coterie_stalled", _one(float(status.get("stalled") is not None))
        yield "coterie_paused", _one(float(status.get("paused") is not None))
    traffic = status.get("traffic", {})
    directions = {"sent": traffic.get("sent_bytes"), "received": traffic.get("received_bytes")}
    yield "coterie_bytes_total", _by("direction", directions)
    yield from _history_samples(history)


def _ledger_samples(status: Json) -> Iterator[tuple[str, Iterable[Sample]]]:
    for name, fact in (
        ("coterie_height", "height"),
        ("coterie_round", "round"),
        ("coterie_trained_rounds", "trained"),
        ("coterie_view", "view"),
        ("coterie_quorum", "quorum"),
        ("coterie_threshold", "threshold"),
        ("coterie_tolerated_faults", "tolerates"),
        ("coterie_loss", "loss"),
    ):
        yield name, _one(status[fact])
    yield "coterie_phase", _by("phase", {str(phase): float(status["phase"] == phase) for phase in Phase})
    yield "coterie_metric", _by("name", status["metrics"])


def _member_samples(status: Json) -> Iterator[tuple[str, Iterable[Sample]]]:
    members = [row for row in status["members"] if row["member"]]
    connected = sum(bool(row["connected"]) for row in members)
    yield "coterie_members", _one(len(members))
    yield "coterie_members_connected", _one(connected)
    yield "coterie_members_missing", _one(len(members) - connected)
    yield "coterie_members_late", _one(len(status.get("late", ())))
    for name, fact in (
        ("coterie_missed_rounds", "missed"),
        ("coterie_beat_age_seconds", "beat_age_seconds"),
        ("coterie_rtt_seconds", "rtt_seconds"),
    ):
        yield name, [({"peer": row["id"], "name": row["name"]}, row[fact]) for row in members]


def _history_samples(history: History) -> Iterator[tuple[str, Iterable[Sample]]]:
    yield "coterie_round_seconds_sum", _one(history.round_seconds)
    yield "coterie_round_seconds_count", _one(history.rounds_timed)
    last = next((row for row in reversed(history.rounds) if row["seconds"] is not None), None)
    if last is not None:
        yield "coterie_last_round_seconds", _one(last["seconds"])
        sizes = {"sent": last["sent_bytes"], "received": last["received_bytes"]}
        yield "coterie_last_round_bytes", _by("direction", sizes)
    yield "coterie_rounds_total", _by("result", history.results)
    yield "coterie_faults_total", _by("kind", history.faults)
    yield "coterie_evictions_total", _one(history.evictions)


def _one(value: float | None) -> list[Sample]:
    return [({}, value)]


def _by(label: str, values: Mapping[str, float | None]) -> list[Sample]:
    return [({label: name}, value) for name, value in values.items()]


def _labels(labels: Mapping[str, str]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return repr(float(value)).replace("inf", "Inf").replace("nan", "NaN")
