"""Choosing a part of a revision's tests: what is aimed at, what always runs, how sure that has been on past runs. Pure.

* ``aim`` is what a person or the policy asks for: a confidence, a time or a share of it;
* ``always`` holds the rules by which a change runs certain tests, or all of them, whatever is predicted;
* ``past`` counts what a part of the order would have caught on past runs: the confidence curve;
* ``selection`` puts the three together, ``telling`` says what came of it.

How far a selection may act is policy's, as for ``rank_tests``; ordering and cutting are that module's too. Reading the
snapshot is ``selecting.reading``'s, everything else here touches nothing.
"""
