"""Where the shapes of charts stand, in the units of an SVG; a template draws them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

WIDTH, HEIGHT = 640, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 14, 30
_MOST_LABELS = 8
_WORDS = {"open": "too recent to tell", "lost": "missed", "other": "others"}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A bar or a mark: its place and size, what it is (a CSS class), and what it says."""

    x: float
    y: float
    width: float = 0
    height: float = 0
    kind: str = ""
    says: str = ""


@dataclass(frozen=True, kw_only=True)
class Label:
    """A word beside an axis."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line through marks."""

    kind: str
    points: str


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A chart.

    Attributes:
        grid: the heights of horizontal lines.
    """

    bars: tuple[Shape, ...] = ()
    marks: tuple[Shape, ...] = ()
    lines: tuple[Line, ...] = ()
    grid: tuple[float, ...] = ()
    across: tuple[Label, ...] = ()
    up: tuple[Label, ...] = ()
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    bottom: float = HEIGHT - _BOTTOM
    width: int = WIDTH
    height: int = HEIGHT


def stacked(
    names: Sequence[str],
    stacks: Sequence[Sequence[tuple[str, int]]],
    marks: Sequence[tuple[float, str, str]] = (),
) -> Chart:
    """Bars of counts on top of each other, and marks on a strip above.

    Args:
        stacks: for each name its parts from below, each a kind and a number.
        marks: place between 0 and 1, kind, and what it says.
    """
    strip = 26 if marks else 0
    up = _Scale(max((sum(n for _, n in stack) for stack in stacks), default=0), strip)
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(names), 1)
    bars = []
    for i, (name, stack) in enumerate(zip(names, stacks, strict=True)):
        below = 0
        for kind, number in stack:
            if number:
                bars.append(
                    Shape(
                        x=round(_LEFT + i * slot + slot * 0.12, 1),
                        y=up.at(below + number),
                        width=round(slot * 0.76, 1),
                        height=round(up.at(below) - up.at(below + number), 1),
                        kind=kind,
                        says=f"{name}: {number:,} {_WORDS.get(kind, kind)}",
                    )
                )
            below += number
    every = math.ceil(len(names) / _MOST_LABELS)
    return Chart(
        bars=tuple(bars),
        marks=tuple(
            Shape(
                x=round(_LEFT + place * (WIDTH - _LEFT - _RIGHT), 1),
                y=_TOP + 2,
                kind=kind,
                says=says,
            )
            for place, kind, says in marks
        ),
        grid=up.grid,
        up=up.labels,
        across=tuple(
            Label(x=round(_LEFT + (i + 0.5) * slot, 1), y=HEIGHT - 10, text=name)
            for i, name in enumerate(names)
            if i % every == 0
        ),
    )


def shares(names: Sequence[str], series: Sequence[tuple[str, Sequence[float | None]]]) -> Chart:
    """Lines of shares between 0 and 1, by kind; None leaves a gap."""
    slot = (WIDTH - _LEFT - _RIGHT) / max(len(names), 1)
    height = HEIGHT - _TOP - _BOTTOM
    marks, lines = [], []
    for kind, values in series:
        points: list[str] = []
        for i, value in enumerate(values):
            if value is None:
                continue
            x = round(_LEFT + (i + 0.5) * slot, 1)
            y = round(_TOP + (1 - value) * height, 1)
            marks.append(Shape(x=x, y=y, kind=kind, says=f"{names[i]}: {kind} {value:.0%}"))
            points.append(f"{x},{y}")
        lines.append(Line(kind=kind, points=" ".join(points)))
    quarters = (0, 0.25, 0.5, 0.75, 1)
    return Chart(
        marks=tuple(marks),
        lines=tuple(lines),
        grid=tuple(round(_TOP + (1 - q) * height, 1) for q in quarters),
        up=tuple(
            Label(x=_LEFT - 6, y=round(_TOP + (1 - q) * height + 4, 1), text=f"{q:.0%}")
            for q in quarters
        ),
        across=tuple(
            Label(x=round(_LEFT + (i + 0.5) * slot, 1), y=HEIGHT - 10, text=name)
            for i, name in enumerate(names)
        ),
    )


def place_of(at: datetime, start: datetime, end: datetime) -> float:
    """Where an instant lies between two, from 0 to 1."""
    return (at - start) / (end - start)


class _Scale:
    """Whole numbers upwards, in round steps."""

    def __init__(self, highest: int, strip: float) -> None:
        step = 1
        for step in (m * 10**e for e in range(9) for m in (1, 2, 5)):
            if step * 5 >= highest:
                break
        self._top = max(step * math.ceil(highest / step), step)
        self._from = _TOP + strip
        ticks = range(0, self._top + 1, step)
        self.grid = tuple(self.at(tick) for tick in ticks)
        self.labels = tuple(
            Label(x=_LEFT - 6, y=self.at(tick) + 4, text=f"{tick:,}") for tick in ticks
        )

    def at(self, number: int) -> float:
        """The height of a number."""
        height = HEIGHT - self._from - _BOTTOM
        return round(self._from + (1 - number / self._top) * height, 1)
