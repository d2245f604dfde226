"""Tasks of calculating and ordering with numbers."""

from registry import easier, task


def _pair_key(a, b):
    return f"{min(a, b)},{max(a, b)}"


def _addition(rng, a, b):
    prompt = rng.choice(("What is {a} + {b}?", "Add {a} and {b}.", "{a} + {b} =", "What is the sum of {a} and {b}?",
                         "Calculate {a} plus {b}."))
    return _pair_key(a, b), prompt.format(a=a, b=b), str(a + b)


@task
def addition(rng):
    return _addition(rng, rng.randrange(100), rng.randrange(100))


@easier("addition")
def _addition_of_a_digit(rng):
    return _addition(rng, rng.randrange(100), rng.randrange(10))


def _subtraction(rng, a, b):
    a, b = max(a, b), min(a, b)
    prompt = rng.choice(("What is {a} - {b}?", "Subtract {b} from {a}.", "{a} - {b} =", "Calculate {a} minus {b}.",
                         "How much is {a} less {b}?"))
    return f"{a},{b}", prompt.format(a=a, b=b), str(a - b)


@task
def subtraction(rng):
    return _subtraction(rng, rng.randrange(100), rng.randrange(100))


@easier("subtraction")
def _subtraction_of_a_digit(rng):
    return _subtraction(rng, rng.randrange(100), rng.randrange(10))


def _multiplication(rng, a, b):
    prompt = rng.choice(("What is {a} times {b}?", "Multiply {a} by {b}.", "{a} * {b} =", "Calculate {a} * {b}.",
                         "What is the product of {a} and {b}?"))
    return f"{a},{b}", prompt.format(a=a, b=b), str(a * b)


@task
def multiplication(rng):
    return _multiplication(rng, rng.randrange(1, 1000 if rng.random() < 0.7 else 100), rng.choice((2, 3, 5, 10)))


@easier("multiplication")
def _multiplication_below_100(rng):
    return _multiplication(rng, rng.randrange(1, 100), rng.choice((3, 5)))


def _near_pair(rng):
    """Two different numbers below 1000; often close, so that every digit matters."""
    a = rng.randrange(1000)
    b = a + rng.randint(-30, 30) if rng.random() < 0.4 else rng.randrange(1000)
    return (a, b) if a != b and 0 <= b < 1000 else _near_pair(rng)


def _comparison(rng, a, b):
    prompt, answer = rng.choice((
        ("Is {a} greater than {b}?", "yes" if a > b else "no"),
        ("Is {a} less than {b}?", "yes" if a < b else "no"),
        ("Is {a} smaller than {b}?", "yes" if a < b else "no"),
        ("Which is larger, {a} or {b}?", str(max(a, b))),
        ("Which is smaller, {a} or {b}?", str(min(a, b)))))
    return _pair_key(a, b), prompt.format(a=a, b=b), answer


@task
def comparison(rng):
    return _comparison(rng, *_near_pair(rng))


@easier("comparison")
def _comparison_of_unequal_lengths(rng):
    pair = [rng.randrange(100), rng.randrange(100, 1000)]
    rng.shuffle(pair)
    return _comparison(rng, *pair)


@task
def extremes(rng):
    numbers = rng.sample(range(10, 100), rng.randint(3, 5))
    word, pick = rng.choice((("largest", max), ("smallest", min), ("maximum", max), ("minimum", min)))
    listing = ", ".join(map(str, numbers))
    prompt = rng.choice(("What is the {word} of {listing}?", "Find the {word} number: {listing}",
                         "Which number is the {word}: {listing}?"))
    key = ",".join(map(str, sorted(numbers)))
    return key, prompt.format(word=word, listing=listing), str(pick(numbers))


@task
def sort_numbers(rng):
    numbers = rng.sample(range(10, 100), rng.randint(3, 4))
    down = rng.random() < 0.3
    listing = ", ".join(map(str, numbers))
    up_prompts = ("Sort these numbers: {listing}", "Put in ascending order: {listing}",
                  "Sort {listing} from smallest to largest.")
    down_prompts = ("Put in descending order: {listing}", "Sort {listing} from largest to smallest.")
    prompt = rng.choice(down_prompts if down else up_prompts)
    ordered = sorted(numbers, reverse=down)
    return ",".join(map(str, sorted(numbers))), prompt.format(listing=listing), ", ".join(map(str, ordered))
