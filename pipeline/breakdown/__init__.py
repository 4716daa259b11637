"""Where a system does well and where it does not."""

from pipeline.breakdown.lines import breakdown
from pipeline.breakdown.parts import Group, counted_places, families, groups
from pipeline.breakdown.rivals import Loss, in_words, lead, losses, worst_family

__all__ = [
    "Group",
    "Loss",
    "breakdown",
    "counted_places",
    "families",
    "groups",
    "in_words",
    "lead",
    "losses",
    "worst_family",
]
