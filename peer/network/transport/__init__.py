"""libp2p, made fit for an open port. Begin with :mod:`.host`.

* :mod:`.host`, :mod:`.hardening`: connections, and what had to be changed in libp2p
* :mod:`.listener`, :mod:`.knocks`, :mod:`.noise`, :mod:`.handshake_keys`: admission, and the handshake
* :mod:`.yamux`, :mod:`.streams`, :mod:`.send_queue`, :mod:`.wire`: streams, and the bytes below them
* :mod:`.addresses`: where members can be reached, as they sign it
"""
