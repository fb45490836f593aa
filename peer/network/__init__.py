"""The peer's network on libp2p.

`network.Network` is the way in: it keeps a link to each member and reports to the driver. From the top down:

* :mod:`.network`, :mod:`.dialling`: which members to have a link to
* :mod:`.link`, :mod:`.greeting`, :mod:`.frames`, :mod:`.transfers`, :mod:`.heartbeat`: what is said on one link
* :mod:`.limits`: what others may cost this peer
* :mod:`.transport`: libp2p, made fit for an open port
* :mod:`.discovery`: finding peers at addresses that nobody gave
"""
