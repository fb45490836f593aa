"""The compiled inner loops: the only modules that may import numba, which is slow to load.

The modules above this room check their arguments and call these; nothing else does. From the bottom up:

* :mod:`.compiling`: how a function becomes machine code, and where that is kept
* :mod:`.words`, :mod:`.rows`: several field elements at a time, and rows of them
* :mod:`.vectors`: loops over whole vectors, for :mod:`..vectors` and :mod:`..sharing`
* :mod:`.unrolled`, :mod:`.transforms`, :mod:`.block_shares`: transforms of up to 64 points, of any size, and of blocks
"""
