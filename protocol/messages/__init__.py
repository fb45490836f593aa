"""What members say to each other. Begin with :mod:`.kinds`.

* :mod:`.kinds`: each kind of message
* :mod:`.envelope`: how it is signed
* :mod:`.encoding`: the one way to write it down
"""
