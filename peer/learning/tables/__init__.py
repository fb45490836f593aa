"""Reading tables. Begin with :mod:`.table`.

* :mod:`.opening`, :mod:`.parquet`: files as texts
* :mod:`.header`, :mod:`.columns`, :mod:`.cells`, :mod:`.dates`: what the texts hold
* :mod:`.schema`: which numbers a model gets for them
* :mod:`.troubles`: everything that is wrong, reported at once
"""
