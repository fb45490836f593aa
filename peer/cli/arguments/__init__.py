"""What the commands share. Nothing here is slow to import.

* :mod:`.shared_options`: options of several commands, and how each command is registered
* :mod:`.values`: readers for the values of options
* :mod:`.output_file`: files that a command writes
"""
