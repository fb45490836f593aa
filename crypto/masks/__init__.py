"""Sums of masked vectors: each member adds a one-time mask to its update, and only the sum of the keys is opened.

Over the ring R = Z_p[X] / (X^4096 + 1) a member draws a small key s and sends c = a·s + e + Δ·x, block by block. Here a
is a public element, the same for all members, and e is a small error. Sums of such vectors have the same form. The sum
of the keys is 4096 numbers, whatever the size of the model. With it, Σc - a·Σs = Σe + Δ·Σx, which gives Σx exactly,
because the sum of the errors is smaller than Δ.

Promise: an adversary that sees all c, the sum of the keys, and the keys and errors of all members but two learns the
sum of those two members' updates and nothing more, if each key masks one vector only. Assumption: ring-LWE in dimension
4096, with a modulus of 64 bits and Gaussian keys and errors of width 4; and AES-256 in counter mode is pseudorandom.
docs/crypto-masks.md has the reasons and the origin of the numbers.

parameters  the dimension, the widths, and the bits of a value that fit beside the errors
ring        products in R
sampling    discrete Gaussian keys and errors
contents    hashes of the words to be masked, from which the key is derived
keys        one-time keys, as a vector for Shamir's scheme and as plaintexts for Paillier's
mask        mask and unmask, whole or in pieces
blame       fingerprints of masked vectors: whether a sum is right, and which members lied if it is not
"""
