"""What a change means: from the two texts of each file, or from a diff alone, to a class with its reason. Pure.

* ``classes`` is what can come out, ``paths`` what a name says, ``files`` the class of one file.
* ``python`` compares syntax trees, ``trees`` those of other languages, ``grammars`` loads what these need.
* ``pragmas`` knows comments that tools read, ``docstrings`` who reads documentation at run time.
* ``diffs`` takes a diff where there are no texts; ``answer`` is the change as a whole, in words.

Whatever cannot be shown to be harmless is behaviour: an unknown language, a text that does not parse, a missing
grammar. Reading repositories belongs in ``sources.git_texts``.
"""
