"""The two halves of a round: :mod:`.sharing`, then :mod:`.summing`.

* :mod:`.acks`, :mod:`.overdue_acks`: which shares have arrived, and which members are not waited for
* :mod:`.complaints`, :mod:`.custody`: shares that are wrong, and shares that did not arrive
* :mod:`.sum_proofs`: what the votes for a sum prove
* :mod:`.passing_on`: what one member was told, told to all
"""
