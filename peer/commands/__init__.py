"""The subcommands of `peer`, one module each.

Each module has `register`, which adds the command to the parser, and functions that carry it out. These import what
they need when they run, so that `peer --help` and short commands start quickly.
"""
