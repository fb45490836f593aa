"""How a round sums its updates: one module a scheme, behind one interface."""
