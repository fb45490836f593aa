"""What turns the protocol's node, which touches nothing, into a program. Begin with :mod:`.driver`.

* :mod:`.driver`: carries out the effects of each step, in their order
* :mod:`.event_queue`, :mod:`.timers`: the events that wait, and time
* :mod:`.workers`, :mod:`.compilation`: long work in threads, and its kernels
* :mod:`.blob_offers`: large blobs that others may pull
"""
