"""``policy`` in a rule: it may tighten what the config says, and never loosen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crmsync.config.base import CalendarDurationField, Settings
from crmsync.config.hours import WEEKDAYS, DayHours, Hours
from crmsync.config.policy import Cap, Policy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crmsync.config.hours import Span
    from crmsync.config.yaml import Path_


class RulePolicy(Settings):
    """What a rule asks for beyond the policy of the config."""

    hours: DayHours | None = None
    caps: tuple[Cap, ...] = ()
    stale_after: CalendarDurationField | None = None


def tightened(policy: Policy, own: RulePolicy | None) -> Policy:
    """The policy for the actions of a rule that loosens nothing."""
    if own is None:
        return policy
    return policy.model_copy(
        update={
            "hours": _hours(policy.hours, own.hours),
            "caps": (*policy.caps, *own.caps),
            "stale_after": own.stale_after or policy.stale_after,
        }
    )


def _hours(general: Hours | None, own: DayHours | None) -> Hours | None:
    if own is None:
        return general
    days = dict(zip(WEEKDAYS, own.by_weekday, strict=True))
    if general is None:
        return Hours.model_validate({**days, "quiet_dates": own.quiet_dates})
    values = {name: getattr(general, name) for name in Hours.model_fields}
    quiet = (*general.quiet_dates, *own.quiet_dates)
    return Hours.model_validate({**values, **days, "weekdays": None, "quiet_dates": quiet})


def loosening(policy: Policy, own: RulePolicy) -> Iterator[tuple[Path_, str]]:
    """Where a rule would loosen the policy of the config: the path in its block, and why."""
    if policy.hours is not None and own.hours is not None:
        yield from _longer(policy.hours, own.hours)
    for number, cap in enumerate(own.caps):
        for general in policy.caps:
            same = (cap.per, cap.of, cap.within) == (general.per, general.of, general.within)
            if same and cap.at_most >= general.at_most:
                yield (
                    ("caps", number),
                    (
                        f"policy.caps of the config allows {general.at_most} per {cap.per} within "
                        f"{cap.within}; a rule can allow fewer, and {cap.at_most} is not"
                    ),
                )
    bound = policy.stale_after
    if bound is not None and own.stale_after is not None and own.stale_after.length > bound.length:
        yield (
            ("stale_after",),
            (
                f"policy.stale_after of the config is {bound}; a rule can be stricter, and "
                f"{own.stale_after} is not"
            ),
        )


def _longer(general: Hours, own: DayHours) -> Iterator[tuple[Path_, str]]:
    days = zip(WEEKDAYS, general.by_weekday, own.by_weekday, strict=True)
    for name, allowed, wanted in days:
        if all(_is_within(span, allowed) for span in wanted):
            continue
        said = ", ".join(str(span) for span in allowed) or "closed"
        key = name if getattr(own, name) is not None else "weekdays"
        yield (
            ("hours", key),
            (
                f"on {name.capitalize()} policy.hours of the config has {said}; a rule can narrow "
                "that, and not widen it"
            ),
        )


def _is_within(span: Span, allowed: tuple[Span, ...]) -> bool:
    return any(one.opens <= span.opens and span.closes <= one.closes for one in allowed)
