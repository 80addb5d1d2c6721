"""The append-only, hash-chained record of predictions, decisions, approvals, outcomes and scores.

Importing this loads the standard library only; the gate's start-up time rests on that.

* ``Ledger``: open, append, verify, look up. ``queries``: every figure that anybody shows. ``spool``: decisions
  written where no ledger is in reach.
* ``schema`` declares the tables, ``ddl`` makes SQL of them, ``stores`` are the two databases, ``canonical`` is
  the form that is hashed, ``chain`` links and checks, ``appending`` takes rows in, ``identity`` makes ids.
"""

from weaver_forge.ledger.chain import Head, Verification
from weaver_forge.ledger.identity import idempotency_key, uuid7
from weaver_forge.ledger.ledger import Ledger

__all__ = ["Head", "Ledger", "Verification", "idempotency_key", "uuid7"]
