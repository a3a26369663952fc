"""An audit in words."""

from cairn.pathways.domain.audit import Audit
from cairn.pathways.domain.framework import Framework


def explain(audit: Audit, framework: Framework) -> str:
    """Sentences for the learner: earned or not, what is still needed, and why it cannot be told if it cannot.
    Leaves are named by their ids."""
    raise NotImplementedError
