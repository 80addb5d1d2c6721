"""Core assets: our subjects, deduplicated and typed, a module a subject. The work is in the library."""
