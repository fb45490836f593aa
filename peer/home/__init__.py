"""The folder of a peer: all that outlives its process. Begin with :mod:`.folder`.

* :mod:`.folder`: lock, key and files
* :mod:`.settings`, :mod:`.page_address`: the options that are kept
* :mod:`.store`, :mod:`.sqlite`, :mod:`.facts`: the records of the protocol, durable before anything is sent
* :mod:`.round_seal`: vectors that are erased with their key
* :mod:`.copy_guard`: whether this home is a copy or an old state of itself
"""
