"""The control socket of a running peer: :mod:`.client` asks, :mod:`.server` answers."""
