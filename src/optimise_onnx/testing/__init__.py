"""Checks for passes, operator rules and criteria of one's own, as ours are checked: each raises AssertionError."""

from .criteria import check_criterion
from .passes import check_pass
from .rules import Live, check_rule

__all__ = ["Live", "check_criterion", "check_pass", "check_rule"]
