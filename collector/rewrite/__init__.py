"""Stored calls, written anew: costs computed with other prices, rows built again with other aliases.

A run covers a range, part by part. What a part changes is worked out beside the tables first; from the record `prepared`
in `llm_rewrites` on it is carried through, after a crash by the next start, with the same effect as without one.
"""

from collector.rewrite.jobs import Busy, Job, Jobs
from collector.rewrite.rewriter import Interrupted, Report, Rewriter, Total
from collector.rewrite.statements import Scope

__all__ = ["Busy", "Interrupted", "Job", "Jobs", "Report", "Rewriter", "Scope", "Total"]
