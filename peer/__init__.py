"""Everything that touches the world: network, storage, clocks, training, command line.

The rooms, from the outside in:

* :mod:`.cli`: the command `peer`
* :mod:`.runtime`: one run of `peer start`
* :mod:`.federation`: founding, joining, refounding
* :mod:`.driving`: drives a node of :mod:`coterie.protocol` on a real network, disk and clock
* :mod:`.network`: links to the other members, on libp2p
* :mod:`.home`: the folder of a peer, and what it must not forget
* :mod:`.training`, :mod:`.learning`: what is trained, from the table to the update
* :mod:`.reporting`, :mod:`.page`, :mod:`.tracking`, :mod:`.control`: what users and other programs see of it
* :mod:`.system`: the operating system

docs/architecture.md follows an update and a frame through these rooms.
"""
