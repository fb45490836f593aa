"""The network between the sites, in virtual time. Begin with :mod:`.graphs`.

* :mod:`.graphs`, :mod:`.graph_files`: networks
* :mod:`.links`, :mod:`.transit`: how bytes travel over them
* :mod:`.clock`: time
"""
