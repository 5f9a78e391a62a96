"""Batches: many images, each a chain of its own, started a few chunks at a time.

A batch's row says what it is to be, its chunks' rows what they hold: ``start`` writes them. ``driver`` lets
chunks go as ``release`` finds room, and ends the batch; ``chunks`` starts what a chunk holds. ``status``,
``items`` and ``statistics`` tell, ``retry`` and ``revoke`` change, ``callbacks`` calls who waits for the end.
"""
