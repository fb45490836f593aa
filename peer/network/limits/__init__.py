"""What others may cost this peer.

* :mod:`.doors`, :mod:`.hosts`: handshakes, by the host that asks for them
* :mod:`.meter`: time on the event loop, by link
* :mod:`.rate_limit`: a token bucket
"""
