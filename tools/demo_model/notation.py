"""Tasks of writing one number in two ways: words, Roman numerals, bases, units."""

from registry import task

_ONES = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
         "seventeen eighteen nineteen").split()
_TENS = "_ _ twenty thirty forty fifty sixty seventy eighty ninety".split()


def spell(n: int) -> str:
    """English words for 0 <= n < 1000: 'three hundred forty-seven'."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f"-{_ONES[n % 10]}" if n % 10 else "")
    return f"{_ONES[n // 100]} hundred" + (f" {spell(n % 100)}" if n % 100 else "")


@task
def number_to_words(rng):
    n = rng.randrange(1000)
    prompt = rng.choice(("Write {n} in words.", "Spell out the number {n}.", "How do you say {n} in English?",
                         "What is {n} in words?"))
    return str(n), prompt.format(n=n), spell(n)


@task
def words_to_number(rng):
    n = rng.randrange(1000)
    prompt = rng.choice(("Write {w} in digits.", "Which number is {w}?", "What is {w} as a number?",
                         "Give the digits of {w}."))
    return str(n), prompt.format(w=spell(n)), str(n)


_ROMAN = ((900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"),
          (5, "V"), (4, "IV"), (1, "I"))


def roman(n: int) -> str:
    """Roman numeral of 1 <= n < 1000."""
    out = ""
    for value, letters in _ROMAN:
        out += letters * (n // value)
        n %= value
    return out


@task
def roman_numerals(rng):
    n = rng.randrange(1, 1000)
    prompt = rng.choice(("Write {n} as a Roman numeral.", "What is {n} in Roman numerals?",
                         "Convert {n} to Roman numerals."))
    return str(n), prompt.format(n=n), roman(n)


@task
def base_conversion(rng):
    n = rng.randrange(16, 4096)
    hexadecimal, binary = f"{n:X}", f"{n:b}"
    binary = binary.zfill(4 * len(hexadecimal))
    if rng.random() < 0.5:
        prompt = rng.choice(("Convert hex {x} to binary.", "What is hexadecimal {x} in binary?",
                             "Write hex {x} in binary."))
        return str(n), prompt.format(x=hexadecimal), binary
    prompt = rng.choice(("Convert binary {x} to hex.", "What is binary {x} in hexadecimal?",
                         "Write binary {x} in hex."))
    return str(n), prompt.format(x=binary), hexadecimal


_UNITS = (("m", "metres", "cm", "centimetres", 100), ("km", "kilometres", "m", "metres", 1000),
          ("cm", "centimetres", "mm", "millimetres", 10), ("kg", "kilograms", "g", "grams", 1000),
          ("l", "litres", "ml", "millilitres", 1000), ("g", "grams", "mg", "milligrams", 1000))


@task
def unit_conversion(rng):
    big, big_name, small, small_name, factor = rng.choice(_UNITS)
    value = rng.randrange(1, 1000 if rng.random() < 0.5 else 100)
    if rng.random() < 0.5:
        prompt = rng.choice(("Convert {v} {a} to {b}.", "How many {bn} are {v} {an}?", "{v} {a} in {b}?"))
        text = prompt.format(v=value, a=big, b=small, an=big_name, bn=small_name)
        return f"{value},{big},{small}", text, f"{value * factor} {small}"
    prompt = rng.choice(("Convert {v} {a} to {b}.", "How many {bn} are {v} {an}?", "{v} {a} in {b}?"))
    text = prompt.format(v=value * factor, a=small, b=big, an=small_name, bn=big_name)
    return f"{value},{big},{small}", text, f"{value} {big}"
