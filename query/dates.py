"""Texts that read as dates and ages. Imports nothing of tagfs; pure, without a clock and without a time zone.

The dates are those of ISO 8601's calendar, from a year to fractions of a second:

    2026    2026-11    2026-11-23    2026-11-23T10:00    2026-11-23T10:00:00.5    ...T10:00Z    ...T10:00+02:00

Each names an interval of time, as long as its last component. Without an offset it is UTC: a query must mean the
same to every process that reads the catalogue, so the environment's time zone has no say.

An age is a whole number and a unit: 90s 30min 12h 7d 2w 1y (a year has 365 days; `m` is left out because it could be
a minute or a month).
"""

from __future__ import annotations

import calendar
import re
from datetime import date
from fractions import Fraction
from typing import Final

DAY: Final = 86_400

_EPOCH: Final = date(1970, 1, 1).toordinal()

# The earliest instant that a date can name; an age that reaches back further stands for it.
_FIRST: Final = (date(1, 1, 1).toordinal() - _EPOCH) * DAY

_DATE: Final = re.compile(
    r"""(?P<year>\d{4})
        (?:-(?P<month>\d\d)
          (?:-(?P<day>\d\d)
            (?:[T\ ](?P<hour>\d\d):(?P<minute>\d\d)
              (?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?
              (?P<zone>Z|[+-]\d\d:\d\d)?
            )?
          )?
        )?""",
    re.ASCII | re.VERBOSE,
)

_AGE: Final = re.compile(r"(?P<count>\d{1,9})(?P<unit>s|min|h|d|w|y)", re.ASCII)
_UNITS: Final = {"s": 1, "min": 60, "h": 3_600, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}

Instant = int | Fraction  # seconds since 1970-01-01T00:00:00Z, exact


def read_date(text: str) -> tuple[Instant, Instant] | None:
    """The half-open interval [start, end) that `text` names, in seconds since 1970; None if it is no date."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (int(found[part] or 0) for part in ("year", "month", "day"))
    if not year or (found["month"] and not 1 <= month <= 12):
        return None
    if not found["month"]:
        return _days(year, 1, 1), _days(year, 12, 31) + DAY
    last = calendar.monthrange(year, month)[1]
    if not found["day"]:
        return _days(year, month, 1), _days(year, month, last) + DAY
    if not 1 <= day <= last:
        return None
    midnight = _days(year, month, day)
    if not found["hour"]:
        return midnight, midnight + DAY
    return _within_day(found, midnight)


def read_age(text: str) -> int | None:
    """The length of an age in seconds, None if `text` is no age."""
    found = _AGE.fullmatch(text)
    return int(found["count"]) * _UNITS[found["unit"]] if found else None


def ago(age: int, now: float) -> str:
    """The second, as a date, that lay `age` seconds before `now` (seconds since 1970)."""
    moment = max(int(now // 1) - age, _FIRST)
    days, rest = divmod(moment, DAY)
    return f"{date.fromordinal(_EPOCH + days)}T{rest // 3_600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def first_year_from(moment: Instant) -> int:
    """The earliest year, 1 to 10000, whose first instant is at or after `moment`."""
    days, rest = divmod(moment, DAY)
    ordinal = _EPOCH + days
    if ordinal < 1:
        return 1
    if ordinal > date.max.toordinal():
        return date.max.year + 1
    day = date.fromordinal(ordinal)
    is_first = rest == 0 and (day.month, day.day) == (1, 1)
    return day.year if is_first else day.year + 1


def _days(year: int, month: int, day: int) -> int:
    return (date(year, month, day).toordinal() - _EPOCH) * DAY


def _within_day(found: re.Match[str], midnight: int) -> tuple[Instant, Instant] | None:
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    offset = _offset(found["zone"])
    if hour > 23 or minute > 59 or second > 59 or offset is None:
        return None
    start: Instant = midnight + hour * 3_600 + minute * 60 + second - offset
    if not found["second"]:
        return start, start + 60
    if not found["fraction"]:
        return start, start + 1
    tick = Fraction(1, 10 ** len(found["fraction"]))
    start += int(found["fraction"]) * tick
    return start, start + tick


def _offset(zone: str | None) -> int | None:
    """Seconds east of Greenwich; None for an offset that no clock shows."""
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[4:6])
    if hours > 23 or minutes > 59:
        return None
    return (hours * 3_600 + minutes * 60) * (-1 if zone[0] == "-" else 1)
