"""The command line. :mod:`.entry` handles signals, then :mod:`.main` reads the arguments and runs a command.

* :mod:`.commands`: one module for each command
* :mod:`.arguments`: what several commands share
"""
