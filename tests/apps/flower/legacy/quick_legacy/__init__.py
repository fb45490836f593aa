"""A project in the shape of Flower's older quickstarts: a NumPyClient, and functions that make the parts."""
