"""Apps for the models that people have: an estimator of scikit-learn, a module of PyTorch, or a model of JAX.

An adapter is an app (see :mod:`coterie.peer.learning.app`) that wraps a model of another package. A module of the
user's makes it, and `peer start --app module:object` trains it; `peer new-app` writes such a module. The packages
themselves are needed only where their adapter is imported.
"""
