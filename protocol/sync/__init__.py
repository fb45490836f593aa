"""A member that was away, or is new: what it takes from others, and how it knows that it is right.

* :mod:`.catchup`: blocks with their certificates, and the model
* :mod:`.checkpoint`: the first look at a ledger, compared with an invite
* :mod:`.forks`: a second ledger
* :mod:`.resume`: what others saw of a member before it was restarted
"""
