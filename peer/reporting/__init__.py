"""What users and scripts are told: facts first, then the same in words.

* :mod:`.reporters`: events of a running peer, as they happen
* :mod:`.status`, :mod:`.waiting`, :mod:`.voids`, :mod:`.quorum_watch`, :mod:`.leaving`: its state, and why it waits
* :mod:`.ledger_rows`, :mod:`.ledger_export`: the ledger
* :mod:`.round_table`, :mod:`.rounds_text`, :mod:`.rounds_picture`: figures, round by round
* :mod:`.agreed_models`: the models that a home keeps
"""
