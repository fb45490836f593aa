"""Random simulations by the thousand: :mod:`.scenarios` draws them, :mod:`.runner` runs them on all cores."""
