"""What each command prints: a report for people, or the same as JSON."""

from crmsync.cli.reports.backtest import show_backtest
from crmsync.cli.reports.explain import show_explain
from crmsync.cli.reports.forecast import show_forecast
from crmsync.cli.reports.plan import show_demo, show_plan, show_run
from crmsync.cli.reports.reviewing import show_action, show_review, show_reviewed
from crmsync.cli.reports.settling import show_settled
from crmsync.cli.reports.setup import (
    show_check,
    show_layout,
    show_plugins,
    show_schemas,
    show_set_up,
)
from crmsync.cli.reports.status import show_status
from crmsync.cli.reports.stopping import show_stop
from crmsync.cli.reports.sync import show_sync
from crmsync.cli.reports.testing import show_tests
from crmsync.cli.reports.undoing import show_runs, show_undo

__all__ = [
    "show_action",
    "show_backtest",
    "show_check",
    "show_demo",
    "show_explain",
    "show_forecast",
    "show_layout",
    "show_plan",
    "show_plugins",
    "show_review",
    "show_reviewed",
    "show_run",
    "show_runs",
    "show_schemas",
    "show_set_up",
    "show_settled",
    "show_status",
    "show_stop",
    "show_sync",
    "show_tests",
    "show_undo",
]
