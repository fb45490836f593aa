"""Protocols in rounds between parties, as state machines without a network. Begin with :mod:`.lockstep`.

* :mod:`.lockstep`: the machine of one party
* :mod:`.scripts`: what a protocol for this machine looks like
* :mod:`.seats`: which parties take part in one run
* :mod:`.messages`, :mod:`.statements`: the bytes that they exchange, and what they sign
"""
