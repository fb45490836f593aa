"""Paillier encryption: sums of encrypted values, opened by t of n holders of a key that nobody has.

Read keys -> encryption -> packing for one owner; threshold -> proofs -> claims for many holders; rounds -> sieving ->
biprimality -> joint for a key without a dealer; resharing for a new set of holders. docs/crypto-paillier.md says what
each promises, under which assumption, and where it is from.
"""
