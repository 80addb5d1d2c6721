"""What a hook may do with a prediction: the policy document and the ruling made from it. Pure: text and values in.

Put the shape of ``policy.yaml`` and its errors in ``document``, the judgement in ``ruling``. Reading the file,
the clock and the ledger is the hooks' work.
"""

from weaver_forge.policy.document import DecisionPolicy, OnUnknown, Policy, json_schema, parse
from weaver_forge.policy.ruling import Approval, PredictionView, Ruling, evaluate, exit_code

__all__ = [
    "Approval",
    "DecisionPolicy",
    "OnUnknown",
    "Policy",
    "PredictionView",
    "Ruling",
    "evaluate",
    "exit_code",
    "json_schema",
    "parse",
]
