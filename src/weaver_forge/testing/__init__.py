"""A simulated software organisation with known truth, written as files of the real formats.

For the demo, for notebooks and for tests: the only place where the right answers are known. **Everything it makes is
simulation**, and the folders it writes say so. Put here what makes such data; nothing here is used in production.
"""

from weaver_forge.testing.git_writer import advance_git
from weaver_forge.testing.organisation import write_organisation
from weaver_forge.testing.plan import OrganisationPlan
from weaver_forge.testing.staging import stage
from weaver_forge.testing.truth import TrueChange, TrueDeployment, TrueIncident, Truth, read_truth

__all__ = [
    "OrganisationPlan",
    "TrueChange",
    "TrueDeployment",
    "TrueIncident",
    "Truth",
    "advance_git",
    "read_truth",
    "stage",
    "write_organisation",
]
