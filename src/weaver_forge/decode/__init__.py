"""Bytes of other people's formats -> rows of our raw tables, and what was refused and why.

A decoder is a pure function ``frames -> Batch``: no disk, no network, no clock. What cannot be stored is
returned as ``Rejected``, never dropped and never guessed; one bad piece does not cost the good ones. Reaching
out for the bytes belongs in ``sources``, meaning across sources in ``links`` and ``changes``.
"""
