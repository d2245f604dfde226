"""Tasks of truth values, and of who is tallest."""

import world
from registry import easier, task


def _literal(rng):
    """(text, value) of a truth value, negated half of the time."""
    value, negated = rng.random() < 0.5, rng.random() < 0.5
    return ("not " if negated else "") + str(value).lower(), value != negated


def _join(rng, left, right):
    """(text, value) of two parts joined by and or or."""
    if rng.random() < 0.5:
        return f"{left[0]} and {right[0]}", left[1] and right[1]
    return f"{left[0]} or {right[0]}", left[1] or right[1]


@task
def boolean_logic(rng):
    text, value = _join(rng, _literal(rng), _literal(rng))
    if rng.random() < 0.9:
        negated = rng.random() < 0.4
        inner = (f"not ({text})" if negated else f"({text})", value != negated)
        third = _literal(rng)
        text, value = _join(rng, inner, third) if rng.random() < 0.5 else _join(rng, third, inner)
    prompt = rng.choice(("What is {e}?", "Evaluate: {e}", "Is this true or false: {e}"))
    return text, prompt.format(e=text), str(value).lower()


_RELATIONS = (("taller", "shorter", "tallest", "shortest"), ("older", "younger", "oldest", "youngest"),
              ("faster", "slower", "fastest", "slowest"))


@task
def ordering(rng):
    first, second, third = rng.sample(world.NAMES, 3)  # from most to least
    more, less, most, least = rng.choice(_RELATIONS)
    statements = []
    for a, b in ((first, second), (second, third)):
        statements.append(f"{a} is {more} than {b}." if rng.random() < 0.5 else f"{b} is {less} than {a}.")
    rng.shuffle(statements)
    question, answer = rng.choice(((most, first), (least, third)))
    return f"{first},{second},{third},{more}", f"{' '.join(statements)} Who is the {question}?", answer


@easier("ordering", level=2)
def _ordering_in_one_direction(rng):
    count, (more, _, most, least) = rng.choice((2, 2, 3)), rng.choice(_RELATIONS)
    people = rng.sample(world.NAMES, count)
    statements = [f"{a} is {more} than {b}." for a, b in zip(people, people[1:])]
    if count == 2 and rng.random() < 0.5:
        return _ordering_of_two(rng)
    question, answer = rng.choice(((most, people[0]), (least, people[-1])))
    return f"{','.join(people)},{more}", f"{' '.join(statements)} Who is the {question}?", answer


@easier("ordering")
def _ordering_of_two(rng):
    first, second = rng.sample(world.NAMES, 2)
    more, less, most, least = rng.choice(_RELATIONS)
    statement = f"{first} is {more} than {second}." if rng.random() < 0.5 else f"{second} is {less} than {first}."
    question, answer = rng.choice(((most, first), (least, second)))
    return f"{first},{second},{more}", f"{statement} Who is the {question}?", answer
