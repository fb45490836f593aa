"""Secret sharing of whole vectors. Begin with :mod:`.shamir`.

* :mod:`.fixed_point`: updates as field elements, so that sums are exact
* :mod:`.shamir`: sharing and opening
* :mod:`.robust`: opening when some shares are wrong
* :mod:`.merkle`, :mod:`.dealing`: shares that each holder checks by itself
"""
