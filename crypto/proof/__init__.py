"""Dealings that prove what they contain: the encoding of a bounded update, with the weight that it claims.

A dealer shows every holder, in the message of the dealing itself, that the vector it shares is an encoding (slots,
limbs and counts in range) and that the update in it is no longer than its claimed weight allows. K - 1 holders and the
public learn nothing beyond this. A false statement passes with a probability of about 2^-118 a try, times the number of
sets of K honest holders, in the random oracle model. docs/proof.md has the statement, the protocol and the proofs.

Read `terms` (the statement, and the layout of its witness), `functionals` (the published values), `prover` and
`checks`; `extension` and `kernels` are the arithmetic, `transcript` the hashes.

The design is one quotient polynomial over the holders' shares, such that every check of a holder is linear in its
share: a product of shares would have too high a degree for K holders to fix it.
"""
