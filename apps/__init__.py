"""Adapters that make apps of models of scikit-learn, PyTorch and JAX, and of projects of Flower.

An app (see :mod:`coterie.peer.learning.app`) is the interface to a model that a peer trains. The user's own module
makes an adapter, and `peer start --app module:object` trains it; `peer new-app` writes such a module. `peer start
--flower` makes the adapter of a project of Flower. Each package is needed only where its adapter is used. docs/apps.md
is the user's guide.

sklearn, estimators    `SklearnApp`; the estimators that it can train
torch, jax             `TorchApp`, `JaxApp`
flower, flower_plan    `FlowerApp`; the plan that a project's ServerApp makes
description            the text by which members compare their apps
rows, named            checks of rows; arrays by name
"""
