"""Keys, and what is signed and sealed with them. Begin with :mod:`.identity`.

* :mod:`.identity`: one seed, and the three keys that follow from it
* :mod:`.keyfile`: a seed at rest
* :mod:`.sealing`: boxes that a third party can judge
"""
