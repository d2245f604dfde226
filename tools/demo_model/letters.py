"""Tasks of spelling: words in capitals, letter by letter."""

import world
from registry import easier, task


def _word(rng, low=3, high=7):
    """A word in capitals: a real one, or a made-up one that can be pronounced."""
    if rng.random() < 0.25:
        word = rng.choice(world.REAL_WORDS)
        if low <= len(word) <= high:
            return word
    vowel = rng.random() < 0.3
    letters = []
    for _ in range(rng.randint(low, high)):
        letters.append(rng.choice("AEIOU" if vowel else "BCDFGHJKLMNPQRSTVWXYZ"))
        vowel = not vowel if rng.random() < 0.85 else vowel
    return "".join(letters)


@task
def reverse_word(rng):
    word = _word(rng)
    prompt = rng.choice(("Reverse the word {w}.", "Write {w} backwards.", "Spell {w} in reverse.",
                         "What is {w} spelled backwards?"))
    return word, prompt.format(w=word), word[::-1]


@task
def sort_letters(rng):
    letters = rng.sample("ABCDEFGHIJKLMNOPQRSTUVWXYZ", rng.randint(3, 6))
    text = "".join(letters)
    prompt = rng.choice(("Sort these letters: {w}", "Put the letters {w} in alphabetical order.",
                         "Arrange {w} alphabetically."))
    return "".join(sorted(letters)), prompt.format(w=text), "".join(sorted(letters))


def _count_letters(rng, low, high):
    letters = list(_word(rng, low, high))
    letter = rng.choice(letters) if rng.random() < 0.85 else rng.choice("AEIOURSTLN")
    for i in range(len(letters)):  # repeat the letter, or most answers would be 1
        if rng.random() < 0.2:
            letters[i] = letter
    word = "".join(letters)
    prompt = rng.choice(("How many times does the letter {c} appear in {w}?", "Count the letter {c} in {w}.",
                         "How often does {c} occur in {w}?", "How many {c} are in {w}?"))
    return f"{word},{letter}", prompt.format(c=letter, w=word), str(word.count(letter))


@task
def count_letters(rng):
    return _count_letters(rng, 4, 7)


@easier("count_letters")
def _count_letters_of_short_words(rng):
    return _count_letters(rng, 3, 4)


@task
def nth_letter(rng):
    word = _word(rng, 4, 7)
    name, index = rng.choice((("first", 0), ("second", 1), ("third", 2), ("fourth", 3), ("last", -1)))
    prompt = rng.choice(("What is the {n} letter of {w}?", "Give the {n} letter of the word {w}.",
                         "Which letter is {n} in {w}?"))
    return f"{word},{name}", prompt.format(n=name, w=word), word[index]
