"""Dealings that prove what they hold: an encoding, of a bounded update, with the weight that it claims.

A dealer shows every holder, in the message that it deals by, that the vector it shares is an encoding (slots, limbs
and counts in range) and that the update in it is no longer than its claimed weight allows. Nobody learns more of it.
docs/proof.md says why that holds. Read `terms` (what is stated, and how its witness is laid out), `functionals` (what
is published), `prover` and `checks`; `extension` and `kernels` are the arithmetic, `transcript` the hashes.

The design: one quotient polynomial over the holders' shares, in which everything that a holder checks is linear.
"""
