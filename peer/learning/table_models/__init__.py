"""Training on tables: the app that comes with the peer. Begin with :mod:`.task` and :mod:`.tables_app`.

* :mod:`.task`: what the members agree to learn
* :mod:`.tables_app`: the app that learns it
* :mod:`.models`, :mod:`.drift`: networks and their training
* :mod:`.moments`, :mod:`.medians`, :mod:`.outliers`, :mod:`.sketch`: what follows from the columns, together and alone
* :mod:`.survey`: what was read, in words
"""
