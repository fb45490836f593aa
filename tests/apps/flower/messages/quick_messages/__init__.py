"""A project in the shape of Flower's quickstart of PyTorch: a state with BatchNorm by names, and messages."""
