"""Pure cryptography: values in, values out; no I/O, no clock, no protocol state."""
