"""A plan of changes to architecture, performance, security and process, made of what was measured.

Pure: insights, rows and policy text in, items out. ``from_insights`` and ``hot_spots`` propose items, ``choosing``
picks what a budget of hours is best spent on, ``checks`` says later whether one came true, ``policy_edit`` changes the
text of a policy and nothing else in it. Doing and undoing is ``hooks.evolving``'s.
"""
