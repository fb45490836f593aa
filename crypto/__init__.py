"""Pure cryptography: functions of their arguments, without clock, sockets, files, randomness or protocol state.

Seeds come in as arguments, and every result is deterministic in them. docs/crypto.md says for each module what it
promises, under which assumption, and from which source. Where to go:

field, vectors, prng    arithmetic in F_p, operations on whole vectors, pseudorandom elements
cosets, ntt, erasures   transforms for many holders, also where shares are missing
sharing                 updates as field elements; sharing them, checking shares, opening sums
identity                keys, signatures, and boxes that a third party can judge
proof                   dealings that prove what they contain
masks, paillier         larger parts, which rounds do not use yet
kernels                 the compiled inner loops
"""
