"""Paillier encryption: sums of encrypted values, opened by t of n holders of a key that nobody has.

Read the modules in this order: keys, encryption, packing for one owner; threshold, proofs, claims for many holders;
rounds, statements, sieving, biprimality, exponent, joint for a key without a dealer; epochs for when it is in force;
resharing for a new set of holders. docs/crypto-paillier.md says what each promises, under which assumption, and from
which source. Code that uses the package in rounds keeps the rules at the end of that page.
"""
