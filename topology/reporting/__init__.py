"""What users get of a simulation. Begin with :mod:`.result`.

* :mod:`.recorder`, :mod:`.result`, :mod:`.pictures`: numbers, and pictures of them
* :mod:`.transcript`, :mod:`.phrases`: everything that happened, in words
* :mod:`.why_unfinished`: why a run did not finish
"""
