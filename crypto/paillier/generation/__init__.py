"""Keys that nobody holds: a threshold key made by all parties together, and moved to other holders.

Begin with :mod:`.joint`, which runs the steps:

* :mod:`.sieving`, :mod:`.biprimality`: a modulus whose factors nobody knows
* :mod:`.exponent`: shares of the exponent that decrypts
* :mod:`.openings`, :mod:`.audit`: committing before opening, and finding out which party did not follow the steps
* :mod:`.resharing`: the same modulus for other holders
* :mod:`.epochs`: when a key is in force
"""
