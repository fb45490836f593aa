"""Sums of masked vectors: each member adds a one-time mask to its update, and only the sum of the keys is opened.

Over the ring R = Z_p[X] / (X^4096 + 1) a member draws a small key s and sends c = a·s + e + Δ·x, block by block, a
being public and the same for all, e a small error. Sums of such vectors are of the same form, so who knows the sum
of the keys, 4096 numbers whatever the size of the model, takes a·Σs away and finds Σx, exactly: the errors are
smaller than Δ. Who does not know it learns nothing if ring-LWE is hard. docs/crypto-masks.md says what is promised,
under which assumption, and where the numbers come from.

parameters  the dimension, the widths, and what fits beside the errors
ring        products in R
sampling    discrete Gaussian keys and errors
keys        one-time keys, as a vector for Shamir's scheme and as plaintexts for Paillier's
mask        mask and unmask, whole or in pieces
blame       fingerprints of masked vectors: was the sum summed, and if not, who lied
"""
