"""One run of `peer start`, from the lock to the exit code. Begin with :mod:`.process`, then :mod:`.session`.

* :mod:`.process`: what surrounds a run
* :mod:`.session`: the run itself
* :mod:`.way_in`: how it comes into its federation
* :mod:`.run_texts`: its first and its last words
* :mod:`.control_handlers`: what other programs may ask of it
* :mod:`.run_end`, :mod:`.end_tasks`, :mod:`.departure`: why it ends, by itself or because the peer left
* :mod:`.log_file`, :mod:`.stranger_log`: its log
"""
