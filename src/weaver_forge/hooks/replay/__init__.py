"""What hooks would have done under a policy: past predictions in, rulings, buckets and money out. Pure.

* ``deciding`` puts the question of a hook to policy, one decision unit at a time, oldest first;
* ``budget`` cuts an order of tests at a time budget instead, ``selecting`` chooses a part of it as ``select`` does;
* ``money`` says what that would have cost and saved, ``capacity`` the same of forecasts;
* ``comparing`` puts policies side by side, as data.

Learning and predicting point in time is ``models.replaying``'s, laying out ``cli``'s. No gate imports this: it loads
polars.
"""
