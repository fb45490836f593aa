"""Influence: where dealings prove themselves, liars move the model no further than is proved, and no sum is refused.

What liars contributed to a sum is what is left of it without the contributions of honest members. Each has a weight of
at least one example. All together are at most as long as a proof lets updates of their weights be: three times as long
as those of honest members, or as long where the norm is exact.
"""

from math import isqrt

import numpy as np

from ...crypto.proof.terms import MAX_EXACT_COLUMNS, NORM_SLACK
from ...crypto.sharing.fixed_point import NORM_BITS, BoundedNorm
from ...protocol.events import Event, Step
from ...protocol.ledger.blocks import Contributors, Model, Void, read_block, wide_value
from ...protocol.ledger.contribution import WIDE_UNIT, counts_of, layout_of
from ...protocol.ledger.state import LedgerState
from ...protocol.records import BlockDecided, Dealt, ModelSaved
from ..engine.site import Site
from .base import Checker

_ROUNDING = 2.0**-22
"""What rounding to float32 may change, in relation to the largest weight."""


class Influence(Checker):
    """Compares each new model with what honest members dealt."""

    name = "influence"

    def __init__(self) -> None:
        self._dealt: dict[tuple[int, bytes], bytes] = {}
        self._models: dict[bytes, bytes] = {}
        self._summed: dict[int, tuple[tuple[bytes, ...], LedgerState]] = {}
        """By round, the keys of its contributors, and the state after they were decided, as a member saw it."""

    def on_step(self, site: Site, event: Event, step: Step) -> None:
        if not site.is_honest or self.simulation.setup.genesis.bounds is None:
            return
        for record in step.persist:
            if isinstance(record, Dealt):
                self._dealt[(record.round, site.key)] = record.vector
            elif isinstance(record, ModelSaved):
                self._models[record.weights_hash] = record.weights
        for record in step.persist:
            if isinstance(record, BlockDecided):
                self._check(site, read_block(record.block).body)

    def _check(self, site: Site, body: object) -> None:
        node = site.node
        if isinstance(body, Contributors) and node is not None and node.state.contributors == body:
            members = node.state.committee.members
            keys = tuple(members[place] for place, _ in body.dealers)
            self._summed.setdefault(body.round, (keys, node.state))
        elif isinstance(body, Void) and body.reason == "encoding" and self._was_proved(body):
            raise self.violated(f"the sum of round {body.round} was refused, though each dealing proved what it is")
        elif isinstance(body, Model) and body.round in self._summed and body.weights_hash in self._models:
            self._check_model(body)

    def _was_proved(self, body: Void) -> bool:
        summed = self._summed.get(body.round)
        return summed is not None and summed[1].terms.layout.proved is not None

    def _check_model(self, body: Model) -> None:
        keys, state = self._summed.pop(body.round)
        genesis = state.genesis
        base = self._models.get(state.weights_hash, self.simulation.setup.weights)
        layout = layout_of(genesis, "train")
        length, slots = genesis.parameters, layout.slots
        if state.kind != "train":
            return
        codec = BoundedNorm(state.clip, genesis.examples_ref)
        capped = claimed = wide_value(body.sums[0]) // WIDE_UNIT
        old, new = (np.frombuffer(one, "<f4").astype(np.float64) for one in (base, self._models[body.weights_hash]))
        scale = capped / genesis.examples_ref / codec.step
        left = (new - old) * scale
        liars = 0
        for key in keys:
            vector = self._dealt.get((body.round, key))
            if vector is None:
                liars += 1
                continue
            words = np.frombuffer(vector, np.uint64)
            left -= codec.decode_sum(words[:slots].copy(), length, 1)
            claimed -= counts_of(words, layout)[0]
        if claimed < liars:
            raise self.violated(f"{liars} liar(s) in round {body.round} have a weight of {claimed}")
        unit, factor = 2**NORM_BITS // genesis.examples_ref, 1 if slots <= MAX_EXACT_COLUMNS else NORM_SLACK
        longest = factor * (unit * claimed + liars * (isqrt(2 * slots) + 1))
        rounding = _ROUNDING * scale * float(np.abs(np.concatenate([old, new])).max()) * length
        if float(np.linalg.norm(left)) > longest + rounding + 1e-6:
            raise self.violated(f"{liars} liar(s) moved the model of round {body.round} further than can be proved")
