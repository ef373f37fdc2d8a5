"""A copy of a stream, kept by nothing but its pages: sync in its smallest form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.model.pages import DELETED, MERGED_INTO, ORIGIN, PROBLEM, ROW

if TYPE_CHECKING:
    from collections.abc import Iterable

    from crmsync.model.pages import Page
    from crmsync.testing.remote import RemoteUnderTest


class Replica:
    """What one knows after having committed some pages.

    Attributes:
        texts: the text of each live record by its id.
        aliases: the survivor's id by the id of each record that was merged into it.
        problems: one sentence for each row that could not be read, with its origin.
    """

    def __init__(self, remote: RemoteUnderTest, pages: Iterable[Page] = ()) -> None:
        self._key, self._text, self._sample_id = remote.key, remote.text, remote.sample_id
        self.texts: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.problems: list[str] = []
        self._named: dict[str, set[str]] = {}
        self._ended: set[str] = set()
        for page in pages:
            self.take(page)

    def take(self, page: Page) -> None:
        """Commit one page."""
        named: set[str] = set()
        for row in page.records.to_pylist():
            if row.get(PROBLEM) is not None:
                self.problems.append(f"{row.get(ORIGIN)}, row {row.get(ROW)}: {row[PROBLEM]}")
                continue
            key = row[self._key]
            assert key is not None, f"a record has no key in column {self._key}: {row}"
            assert row.get(DELETED) in {True, False, None}, (
                f"{DELETED} holds {row[DELETED]!r}, not true or false"
            )
            name = self._sample_id(str(key))
            named.add(name)
            if row.get(MERGED_INTO) is not None:
                self.aliases[name] = self._sample_id(str(row[MERGED_INTO]))
                self.texts.pop(name, None)
            elif row.get(DELETED):
                self.texts.pop(name, None)
            else:
                self.texts[name] = row[self._text]
        if page.snapshot is not None:
            self._list(page.snapshot.id, named, last=page.snapshot.last)

    def _list(self, listing: str, named: set[str], *, last: bool) -> None:
        assert listing not in self._ended, (
            f"the listing “{listing}” goes on after the page that said it was its last; "
            "a listing that is begun anew needs a new id"
        )
        self._named.setdefault(listing, set()).update(named)
        if last:
            self._ended.add(listing)
            everything = self._named[listing]
            self.texts = {key: text for key, text in self.texts.items() if key in everything}
