"""The protocol as sans-IO state machines: messages in, effects out."""
