"""What each command prints: a report for people, or the same as JSON."""

from crmsync.cli.reports.backtest import show_backtest
from crmsync.cli.reports.explain import print_explain
from crmsync.cli.reports.forecast import print_forecast
from crmsync.cli.reports.plan import print_plan, print_run, show_demo
from crmsync.cli.reports.reviewing import print_action, print_review, print_reviewed
from crmsync.cli.reports.settling import print_settled
from crmsync.cli.reports.setup import (
    print_check,
    print_layout,
    print_plugins,
    print_schemas,
    print_set_up,
)
from crmsync.cli.reports.status import print_status
from crmsync.cli.reports.stopping import print_stop
from crmsync.cli.reports.sync import print_sync
from crmsync.cli.reports.testing import print_tests
from crmsync.cli.reports.undoing import print_runs, print_undo

__all__ = [
    "print_action",
    "print_check",
    "print_explain",
    "print_forecast",
    "print_layout",
    "print_plan",
    "print_plugins",
    "print_review",
    "print_reviewed",
    "print_run",
    "print_runs",
    "print_schemas",
    "print_set_up",
    "print_settled",
    "print_status",
    "print_stop",
    "print_sync",
    "print_tests",
    "print_undo",
    "show_backtest",
    "show_demo",
]
