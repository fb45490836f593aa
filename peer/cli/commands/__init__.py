"""The commands of `peer`, one module each, which registers its options and imports what it needs when it runs.

:mod:`.diagnosis` holds the checks of :mod:`.doctor`, :mod:`.app_skeletons` the files that :mod:`.new_app` writes, and
:mod:`.model_show` a part of :mod:`.model`.
"""
