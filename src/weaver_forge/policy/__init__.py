"""What a hook may do with a prediction: the policy document and the ruling made from it. Pure: text and values in.

* ``document`` is the shape of ``policy.yaml``, ``nodes`` and ``reading`` take its text in, ``schema`` publishes it,
  ``pipeline`` maps the blueprint's ``pipeline.yaml`` to it.
* ``effective`` puts its layers over each other, ``money`` derives thresholds, ``windows`` and ``paths`` say when and
  where a person's rule holds.
* ``question`` is what is asked and answered, ``judging`` what a prediction says, ``ruling`` the judgement in its order
  of precedence, ``table`` the exit codes.

Reading the file, the clock and the ledger is the hooks' work.
"""

from weaver_forge.policy.document import ActionPolicy, Costs, DecisionPolicy, Freeze, OnUnknown, Policy, Rules, Select
from weaver_forge.policy.effective import Rule, effective, lowest
from weaver_forge.policy.lots import draw_of
from weaver_forge.policy.paths import protected
from weaver_forge.policy.question import Approval, PredictionView, Question, Ruling, Usage, question_of
from weaver_forge.policy.reading import Reading, in_force, parse, read
from weaver_forge.policy.ruling import evaluate
from weaver_forge.policy.schema import json_schema
from weaver_forge.policy.table import exit_code

__all__ = [
    "ActionPolicy",
    "Approval",
    "Costs",
    "DecisionPolicy",
    "Freeze",
    "OnUnknown",
    "Policy",
    "PredictionView",
    "Question",
    "Reading",
    "Rule",
    "Rules",
    "Ruling",
    "Select",
    "Usage",
    "draw_of",
    "effective",
    "evaluate",
    "exit_code",
    "in_force",
    "json_schema",
    "lowest",
    "parse",
    "protected",
    "question_of",
    "read",
]
