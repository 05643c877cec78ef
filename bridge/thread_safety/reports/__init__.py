"""What a check has found, for people and for programs: text, maps for JSON, SARIF, a page of HTML.

``Report`` has it all, ``reported_finding.py`` makes one finding of all places where one variable is
fought over; the other files show a report in one form each.
"""

from .page import page_of
from .report import Report
from .reported_finding import ReportedFinding, describe_finding
from .sarif import sarif_of

__all__ = ["Report", "ReportedFinding", "describe_finding", "page_of", "sarif_of"]
