"""What the stored history shows, and what to do about it: associations with their evidence, and a plan made of them.

Pure: rows of a published snapshot in, insights and plan items out; nothing here reads a file, a ledger or a clock.
``exact`` has the p-values, ``intervals`` the effect sizes, ``discoveries`` says which hypotheses of a run stand.
A module named after a subject (``tests``, ``changes``, ``ci``, ...) has the families of hypotheses about it, their
queries and their words. ``plan`` and what it uses turns what was found into items with a check and a way back.
"""
