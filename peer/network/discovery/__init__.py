"""Finding peers at addresses that nobody gave. Begin with :mod:`.interface`.

* :mod:`.mdns`: on the local network
* :mod:`.dht`, :mod:`.kademlia`: through a Kademlia DHT
"""
