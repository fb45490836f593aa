"""The subcommands of `peer`, one module each."""
