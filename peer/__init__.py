"""Everything that touches the world: network, storage, clocks, training, command line."""
