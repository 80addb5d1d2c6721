"""The append-only, hash-chained record of predictions, decisions, approvals, outcomes and scores.

Importing this loads the standard library only; the gate's start-up time rests on that.

* ``Ledger``: open, append, verify, look up. ``queries``: every figure that anybody shows. ``spool``: decisions
  written where no ledger is in reach. ``appender``: many callers of one process share a commit. ``exporting``: rows
  as files.
* ``declared`` says how a table is declared, ``tables_*`` declare them, ``schema`` puts them together, ``ddl`` makes
  SQL of them; ``stores`` is the protocol of the two databases.
* ``canonical`` is the form that is hashed, ``chain`` links, ``merkle`` makes trees, ``roots`` the daily roots,
  ``proofs`` the way from a row to one; ``verifying`` and ``checking_rows`` find what does not fit, ``anchors`` holds
  it against what was kept elsewhere. ``appending`` takes rows in, ``reading`` gives them out, ``identity`` makes ids.
"""

from weaver_forge.ledger.chain import Head
from weaver_forge.ledger.identity import idempotency_key, uuid7, uuid7s
from weaver_forge.ledger.ledger import Ledger
from weaver_forge.ledger.roots import Root
from weaver_forge.ledger.verifying import Verification

__all__ = ["Head", "Ledger", "Root", "Verification", "idempotency_key", "uuid7", "uuid7s"]
