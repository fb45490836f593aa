"""The peer's network on libp2p."""
