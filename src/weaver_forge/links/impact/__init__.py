"""What else a change touches: signals between files, their learned combination, and links to tests, services, people.

Pure: tables and texts in, ranked rows out. One module a kind of link; ``signals`` and ``weights`` rank the files that
change together, ``python_imports``, ``runtime``, ``executed`` and ``owners`` follow what is written down elsewhere, and
``blast`` joins them. Reading repositories and snapshots belongs to the callers.
"""
