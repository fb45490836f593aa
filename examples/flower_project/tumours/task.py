"""The model and the rows of one site."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression


def load_data(partition_id: int, num_partitions: int):
    """Rows and labels of a site, for training and for testing."""
    data = load_breast_cancer()
    own = np.random.default_rng(0).permutation(len(data.data))[partition_id::num_partitions]
    # Each site brings its own rows to one scale, without the others.
    rows, labels = (data.data[own] - data.data[own].mean(axis=0)) / data.data[own].std(axis=0), data.target[own]
    tested = len(own) // 5
    return rows[tested:], labels[tested:], rows[:tested], labels[:tested]


def create_model(inverse_penalty: float, local_epochs: int) -> LogisticRegression:
    """A model that goes on from the weights that it has."""
    model = LogisticRegression(C=inverse_penalty, max_iter=local_epochs, warm_start=True)
    model.classes_ = np.array([0, 1])
    model.coef_, model.intercept_ = np.zeros((1, 30)), np.zeros(1)
    return model
