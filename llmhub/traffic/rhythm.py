"""Day and week rhythm: how much traffic an hour has, relative to the mean of the week."""

from collections.abc import Sequence

_DAY_S = 86_400
# 1970-01-01 was a Thursday, day 3 of a week that begins on Monday.
_FIRST_WEEKDAY = 3


class Rhythm:
    """A factor on the mean rate; its mean over a whole week is one.

    `hours` are 24 relative weights at the middle of each local hour, `days` seven, Monday first;
    `utc_offset` is hours. Summer time is not followed.
    """

    def __init__(self, hours: Sequence[float], days: Sequence[float], utc_offset: float = 0) -> None:
        if len(hours) != 24 or len(days) != 7 or min(*hours, *days) < 0 or not sum(hours) or not sum(days):
            raise ValueError("a rhythm has 24 hours and 7 days, none negative, not all zero")
        self._hours = [weight * 24 / sum(hours) for weight in hours]
        self._days = [weight * 7 / sum(days) for weight in days]
        self._offset = utc_offset * 3600

    def factor(self, time: float) -> float:
        """The factor at a unix time."""
        day, second = divmod(time + self._offset, _DAY_S)
        position = second / 3600 - 0.5
        low = int(position // 1)
        left, right = self._hours[low % 24], self._hours[(low + 1) % 24]
        return (left + (position - low) * (right - left)) * self._days[int(day + _FIRST_WEEKDAY) % 7]
