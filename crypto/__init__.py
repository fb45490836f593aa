"""Pure cryptography: functions of their arguments, without clock, sockets, files, randomness or protocol state.

Seeds come in as arguments, and every result is deterministic in them. docs/crypto.md says for each module what it
promises, under which assumption, and from which source. Where to go:

field, prng, vectors    arithmetic in F_p, pseudorandom elements, operations on whole vectors
codec                   updates as field elements, so that sums are exact
shamir, robust, ntt     sharing; opening when some shares are wrong; transforms for many holders
merkle, dealing         sharing that each holder checks by itself
identity, sealing       keys, signatures and boxes; boxes that a third party can judge
keyfile                 a seed at rest
masks, paillier, proof  larger parts, which rounds do not use yet
kernels, compiling, …   the compiled inner loops; `compiling` keeps their machine code on the disk
"""
