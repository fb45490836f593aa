"""One run of `peer start`, from the lock to the exit code. Begin with :mod:`.process`, then :mod:`.session`.

* :mod:`.process`: what surrounds a run
* :mod:`.session`: the run itself, from start to stop
* :mod:`.way_in`: how it comes into its federation
* :mod:`.own_network`, :mod:`.doubled_key`: its links, and the case that another peer has its key
* :mod:`.participant`: the parts of a peer in its federation, made and put together
* :mod:`.contributing`, :mod:`.link_reports`, :mod:`.address_book`: what it does beside its node
* :mod:`.notice_teller`, :mod:`.round_troubles`, :mod:`.trouble_watch`: what its user is told
* :mod:`.situation`, :mod:`.own_status`: what it answers when it is asked how it stands
* :mod:`.run_texts`: its first and its last words
* :mod:`.control_handlers`: what other programs may ask of it
* :mod:`.run_end`, :mod:`.end_tasks`, :mod:`.departure`: why it ends, by itself or because the peer left
* :mod:`.log_file`, :mod:`.stranger_log`: its log
"""
