"""What the members have decided. Begin with :mod:`.blocks` and :mod:`.state`.

* :mod:`.genesis`: what they agree on before anything else
* :mod:`.blocks`, :mod:`.phases`, :mod:`.state`: each kind of block, and what it makes of the state
* :mod:`.certificates`: the votes that decided a block
* :mod:`.committee`: the numbers that follow from the members
* :mod:`.tickets`, :mod:`.evidence`: why members come, and why they have to go
* :mod:`.contribution`, :mod:`.privacy`: what is added up, and what users are told of its privacy
* :mod:`.terms`, :mod:`.norms`: what dealings are bound to and prove, and the bound of updates
* :mod:`.bases`, :mod:`.stopping`: sums that were decided before on a model, and the end of the training
* :mod:`.options`: options of the training that members change by a vote
"""
