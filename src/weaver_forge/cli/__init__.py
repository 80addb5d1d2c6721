"""The command line: one module a command group, no logic. What a command decides or computes stands elsewhere.

``app`` names the commands and loads a command's module only when it is asked for: the gate must start in well
under half a second. Printing happens here and nowhere else.
"""
