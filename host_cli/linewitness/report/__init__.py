"""The report: one self-contained HTML file. `render` is pure; what it needs beside the settlement is a Context."""

from linewitness.report.facts import Checkpoint, Context, Deadline, SiteFacts
from linewitness.report.page import render

__all__ = ["Checkpoint", "Context", "Deadline", "SiteFacts", "render"]
