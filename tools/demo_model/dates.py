"""Tasks of the calendar."""

import datetime

from registry import easier, task

_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = ("January February March April May June July August September October November December").split()


def _weekday(rng, day, n, sign):
    plural = "day" if n == 1 else "days"
    if sign > 0:
        prompt = rng.choice(("If today is {d}, what day is it in {n} {p}?", "Which weekday is {n} {p} after {d}?",
                             "Today is {d}. What day is it {n} {p} from now?"))
    else:
        prompt = rng.choice(("If today is {d}, what day was it {n} {p} ago?", "Which weekday is {n} {p} before {d}?"))
    return f"{day},{n * sign}", prompt.format(d=_DAYS[day], n=n, p=plural), _DAYS[(day + sign * n) % 7]


@task
def weekday(rng):
    day, n, sign = rng.randrange(7), rng.randint(1, 30), rng.choice((1, -1))
    return _weekday(rng, day, n, sign)


@easier("weekday")
def _weekday_within_a_week(rng):
    return _weekday(rng, rng.randrange(7), rng.randint(1, 7), rng.choice((1, -1)))


def _date(rng):
    return datetime.date(1990, 1, 1) + datetime.timedelta(days=rng.randrange(18262))  # 1990 to 2039


@task
def next_date(rng):
    date = _date(rng)
    if rng.random() < 0.3:  # the month's last day
        date = (date.replace(day=28) + datetime.timedelta(days=4)).replace(day=1) - datetime.timedelta(days=1)
    prompt = rng.choice(("What date follows {d}?", "What is the day after {d}?", "Which date comes after {d}?"))
    following = date + datetime.timedelta(days=1)
    return date.isoformat(), prompt.format(d=date.isoformat()), following.isoformat()


@task
def date_format(rng):
    date = _date(rng)
    month = _MONTHS[date.month - 1]
    text = rng.choice((f"{date.day} {month} {date.year}", f"{month} {date.day}, {date.year}"))
    prompt = rng.choice(("Write {d} as an ISO date.", "Convert {d} to ISO format.",
                         "What is {d} in the form YYYY-MM-DD?"))
    return date.isoformat(), prompt.format(d=text), date.isoformat()
