"""What a running peer does about memory that it does not want to look at again and again."""

import gc

from coterie.peer.system.malloc import keep_out_of_collections


def test_what_was_there_before_is_out_of_the_collectors_sight() -> None:
    before = [[] for _ in range(100)]
    usual = gc.get_threshold()
    gc.set_threshold(700)  # another test's peer may have been here before
    try:
        keep_out_of_collections()
        later: list[object] = []
        watched = {id(one) for one in gc.get_objects()}
        assert not watched & set(map(id, before))
        assert id(later) in watched
        assert gc.isenabled()
        assert gc.get_threshold()[0] > 700
    finally:
        gc.set_threshold(*usual)
        gc.unfreeze()
