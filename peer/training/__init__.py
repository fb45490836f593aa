"""From the options of a peer to its contribution to a round. Begin with :mod:`.trainer`.

* :mod:`.trainer`: makes a learner, and trains
* :mod:`.own_app`: the user's own app
* :mod:`.own_figures`: figures over this site's own rows
* :mod:`.late_training`: training that takes too long
"""
