"""Enforcement points: one module each, all rendering the same decision record.

Put here how a verdict reaches the outside (a CI gate, GitHub, a test order) and how the decision is written down.
What the verdict is belongs in ``policy``; what is printed where belongs in ``cli``.
"""
