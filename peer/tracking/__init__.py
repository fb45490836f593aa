"""The figures of the rounds, in TensorBoard and MLflow as well: :mod:`.feed` reads, :mod:`.trackers` writes."""
