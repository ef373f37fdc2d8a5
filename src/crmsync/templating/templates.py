"""Renders e-mails and the short texts of rules."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from babel import Locale
from jinja2 import TemplateSyntaxError

from crmsync.config.yaml import Place, nearest
from crmsync.errors import InvalidInputError
from crmsync.templating import checks
from crmsync.templating.environment import Empty, empty, make_environment, sentence_of
from crmsync.templating.files import TemplateFiles
from crmsync.templating.locales import Reader, parse_locale, parse_zone, reading
from crmsync.templating.needs import needs_of_template, needs_of_text
from crmsync.templating.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jinja2 import Template

    from crmsync.config.settings import Company
    from crmsync.model.catalog import Catalog
    from crmsync.templating.needs import Need

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, kw_only=True)
class RenderedEmail:
    """A mail's words.

    Attributes:
        subject: one line, without control characters: safe in a header.
        text: ends with one newline.
        email_class: ``commercial`` or ``service``.
        locale: what it was formatted for, for example ``de_CH``; for a Content-Language header.
    """

    subject: str
    text: str
    html: str | None
    email_class: str
    locale: str


@dataclass(frozen=True, kw_only=True)
class Skip:
    """No mail, because something that it requires is missing. ``reason`` is a sentence."""

    reason: str


# In mails to customers, the link by which they say that they want no more; empty without one.
UNSUBSCRIBE_URL = "unsubscribe_url"


class Templates:
    """A folder of templates, rendered in the name of a company.

    Every text sees the caller's context, and beside it ``company`` and ``locale``.
    Records in a context are `Record` values; ``today`` is a date, ``now`` an instant.
    """

    def __init__(
        self,
        folder: Path,
        filters: Mapping[str, Any],
        company: Company,
        *,
        shown_as: str | None = None,
    ) -> None:
        self._files = TemplateFiles(folder, shown_as=shown_as or str(folder))
        self._environment = make_environment(self._files, filters)
        self._company = Record("company", company.model_dump())
        self._company_locale = parse_locale(company.locale) or Locale("en", "US")
        self._company_zone = ZoneInfo(company.time_zone)
        self._inline = functools.lru_cache(maxsize=1000)(self._environment.from_string)

    def names(self) -> list[str]:
        """Every template of the folder, sorted."""
        return self._files.names()

    def email(
        self, name: str, context: Mapping[str, object], locale: str | None, zone: str | None
    ) -> RenderedEmail | Skip:
        """Render a template for a person.

        Args:
            name: for example ``renewal/check-in``.
            context: account, contact, owner, sender, the subject's own table, today, now, rule.
            locale: the person's; the company's where it is empty or none that exists.
            zone: IANA name; the company's where it is empty or none that exists.

        Raises:
            InvalidInputError: the template does not exist, or cannot be rendered with these
                values; each problem begins with file, line and column.
        """
        asked = parse_locale(locale) or self._company_locale
        parts = self._files.parts(name, asked, self._company_locale)
        variables = self._variables({UNSUBSCRIBE_URL: None, **context}, parts.locale)
        for path in parts.requires:
            reason = self._missing(path, variables, parts.text.front_places["requires"])
            if reason is not None:
                return Skip(reason=reason)
        with reading(self._reader(context, parts.locale, zone, isolate=True)):
            subject_place = parts.text.front_places["subject"]
            subject_template = self._compiled(parts.subject, subject_place)
            subject = self._render(subject_template, variables, subject_place)
            text = self._render_file(parts.text.name, variables)
            html = None if parts.html is None else self._render_file(parts.html.name, variables)
        subject = " ".join(_CONTROLS.sub(" ", subject).split())
        if not subject:
            raise InvalidInputError([f"{subject_place}: the subject is empty"])
        return RenderedEmail(
            subject=subject,
            text=_tidy(text),
            html=None if html is None else _tidy(html),
            email_class=parts.email_class,
            locale=str(parts.locale),
        )

    def email_class(self, name: str) -> str:
        """``commercial`` or ``service``, as the template says it for all languages.

        Raises:
            InvalidInputError: there is no such template, or its front matter holds mistakes.
        """
        return self._files.parts(name, self._company_locale, self._company_locale).email_class

    def inline(
        self,
        text: str,
        context: Mapping[str, object],
        locale: str | None,
        zone: str | None,
        *,
        place: Place | None = None,
    ) -> str:
        """Render a text that stands in a rule: a task's subject or body, a note, a new value.

        ``place`` is where the text stands, for the sentence of an error.

        Raises:
            InvalidInputError: it cannot be rendered with these values.
        """
        asked = parse_locale(locale) or self._company_locale
        where = place or Place(file=f"“{text[:40]}”", line=1, column=1)
        with reading(self._reader(context, asked, zone, isolate=False)):
            template = self._compiled(text, where)
            return self._render(template, self._variables(context, asked), where)

    def lacking(
        self, paths: Iterable[str], context: Mapping[str, object], place: Place
    ) -> str | None:
        """Which value of those that a text requires is empty, as a sentence; None for none.

        Raises:
            InvalidInputError: a record has no field of that name.
        """
        variables = self._variables(context, self._company_locale)
        found = (self._missing(path, variables, place) for path in paths)
        return next((reason for reason in found if reason is not None), None)

    def check(
        self, names: Iterable[str], variables: Mapping[str, str | None], catalog: Catalog
    ) -> list[str]:
        """Everything that can be told of templates without rendering them.

        Args:
            names: the templates that rules name.
            variables: what the context will hold: each name, and the table of its record
                (None where it is no record); ``company`` and ``locale`` are known anyhow.
            catalog: what the records have.

        Returns:
            A sentence for each mistake, in the form ``file:line:column: sentence``; a template
            that does not exist is told without a place, since the place is in the rule.
        """
        scope = self._scope(variables, catalog)
        problems: list[str] = []
        for name in dict.fromkeys(names):
            problems += checks.check_template(name, self._files, self._environment, scope)
        return list(dict.fromkeys(problems))

    def check_inline(
        self, text: str, place: Place, variables: Mapping[str, str | None], catalog: Catalog
    ) -> list[str]:
        """The same for a text that stands in a rule."""
        scope = self._scope(variables, catalog)
        return checks.check_text(text, place, self._environment, scope)

    def needs(self, name: str, variables: Mapping[str, str | None], catalog: Catalog) -> list[Need]:
        """The fields without which a template is not sent; none where it does not exist.

        Raises:
            InvalidInputError: a file of it holds mistakes.
        """
        scope = self._scope(variables, catalog)
        return needs_of_template(name, self._files, self._environment, scope)

    def needs_inline(
        self, text: str, place: Place, variables: Mapping[str, str | None], catalog: Catalog
    ) -> list[Need]:
        """The same for a text that stands in a rule."""
        return needs_of_text(text, place, self._environment, self._scope(variables, catalog))

    def _scope(self, variables: Mapping[str, str | None], catalog: Catalog) -> checks.Scope:
        return checks.Scope(
            variables={**variables, "company": checks.COMPANY, "locale": None},
            catalog=catalog,
            company=tuple(self._company.names()),
        )

    def _variables(self, context: Mapping[str, object], locale: Locale) -> dict[str, object]:
        variables = {name: _named(name, value) for name, value in context.items()}
        return {**variables, "company": self._company.called("company"), "locale": str(locale)}

    def _reader(
        self, context: Mapping[str, object], locale: Locale, zone: str | None, *, isolate: bool
    ) -> Reader:
        today, now = context.get("today"), context.get("now")
        own_zone = parse_zone(zone) or self._company_zone
        if not isinstance(today, date):
            today = now.astimezone(own_zone).date() if isinstance(now, datetime) else None
        return Reader(locale=locale, zone=own_zone, today=today, isolate=isolate)

    def _missing(self, path: str, variables: Mapping[str, object], place: Place) -> str | None:
        """Why a required value is missing; None where it is there."""
        first, *rest = path.split(".")
        value: object = variables.get(first)
        walked = first
        for name in rest:
            if value is None or isinstance(value, Empty):
                break
            if isinstance(value, Record) and name not in value:
                hint = nearest(name, value.names())
                raise InvalidInputError([f"{place}: {walked} has no field “{name}”{hint}"])
            value = self._environment.getattr(value, name)
            walked = f"{walked}.{name}"
        missing = value is None or isinstance(value, Empty)
        return f"{walked} is empty" if missing else None

    def _compiled(self, text: str, place: Place) -> Template:
        try:
            return self._inline(text)
        except TemplateSyntaxError as error:
            raise InvalidInputError([f"{place}: {sentence_of(error)}"]) from None

    def _render_file(self, file_name: str, variables: Mapping[str, object]) -> str:
        file = self._files.file(file_name)
        place = file.place(1)
        try:
            template = self._environment.get_template(file_name)
        except TemplateSyntaxError as error:
            place = Place(file=error.filename or file.shown_as, line=error.lineno, column=1)
            raise InvalidInputError([f"{place}: {sentence_of(error)}"]) from None
        return self._render(template, variables, place)

    def _render(self, template: Template, variables: Mapping[str, object], place: Place) -> str:
        try:
            return template.render(variables)
        except InvalidInputError:
            raise
        except Exception as error:
            sentence = sentence_of(error)
            unknown = re.fullmatch(r"“(\w+)” is not known here", sentence)
            if unknown is not None:
                sentence += nearest(unknown[1], variables)
            where = checks.failing_place(error, sentence, self._files, place)
            raise InvalidInputError([f"{where}: {sentence}"]) from error


def _named(name: str, value: object) -> object:
    """A value that can say by which name a template reached it."""
    if isinstance(value, Record):
        return value.called(name)
    return empty(name) if value is None else value


def _tidy(text: str) -> str:
    """No blank lines at the ends, no spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in text.strip().split("\n")) + "\n"
