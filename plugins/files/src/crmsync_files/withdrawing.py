"""Takes tasks back: they are closed in tasks.csv, unless somebody has changed them since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.errors import ChangedError, ConnectorError
from crmsync.model.actions import Receipt
from crmsync_files.folder import TASKS
from crmsync_files.written_tables import COLUMNS, KEY, WrittenTable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from crmsync.model.actions import CreateTask, WithdrawTask
    from crmsync_files.folder import Folder

    _Row = Mapping[str, str]

STATUS, CANCELLED = "status", "cancelled"
_OURS = frozenset({KEY, "created_at"})  # nobody works on a task by changing these


def withdraw(
    folder: Folder,
    actions: Mapping[int, WithdrawTask],
    row_of: Callable[[CreateTask], _Row],
) -> dict[int, Receipt | ConnectorError]:
    """A receipt or an error for each withdrawal; hold the folder's lock while it works.

    Args:
        row_of: a task's row as it is written.
    """
    answers: dict[int, Receipt | ConnectorError] = {}
    fresh: dict[int, Receipt] = {}  # true once the file says so
    try:
        table = WrittenTable(folder, TASKS)
        rows = table.rows({action.task.key for action in actions.values()})
        for at, action in actions.items():
            there = rows.get(action.task.key, [])
            receipt = Receipt(key=action.key, remote_id=action.task.key)
            if all(row.get(STATUS) == CANCELLED for row in there):
                answers[at] = Receipt(key=action.key, remote_id=action.task.key, already=True)
                continue
            changed = _changed(there, row_of(action.task))
            if changed:
                answers[at] = ChangedError(
                    f"somebody has changed the task in {folder.shown(TASKS)} since: "
                    f"{', '.join(changed)}"
                )
            else:
                fresh[at] = receipt
        if fresh:
            table.change({actions[at].task.key for at in fresh}, STATUS, CANCELLED)
    except ConnectorError as error:
        return {at: answers.get(at, error) for at in actions}
    return answers | fresh


def _changed(rows: Sequence[_Row], written: _Row) -> list[str]:
    """What is not as it was written, each with what it is now; a column of people's own too."""
    now: dict[str, str] = {}
    for row in rows:
        for column, cell in row.items():
            if column not in _OURS and cell != written.get(column, ""):
                now.setdefault(column, cell)
    columns = [*COLUMNS[TASKS], *sorted(now.keys() - set(COLUMNS[TASKS]))]
    return [f"{column} is “{now[column]}”" for column in columns if column in now]
