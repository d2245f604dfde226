"""Word lists, and the small made-up world that the `facts` task asks about.

The facts are drawn once from a fixed seed, so that they are part of the model's training data like
any other text: every fact is trained, in most of its phrasings.
"""

import random

NAMES = (
    "Anna Ben Clara David Elena Felix Greta Hugo Irene Jonas Karin Leo Maria Nils Olga Paul Rosa Simon "
    "Tara Viktor Wanda Yusuf Zoe Adam Bella Carlos Diana Emil Fatima George Hanna Ivan Julia Kofi Laura "
    "Marco Nadia Oscar Petra Rami").split()

CITIES = (
    "Oslo Paris Lima Cairo Delhi Rome Berlin Madrid Lagos Quito Sydney Tokyo Dublin Vienna Prague Warsaw "
    "Athens Boston Denver Havana Lisbon Milan Nairobi Ottawa Seoul Tunis Zurich Geneva Helsinki Toronto").split()

ITEMS = (
    "apples books chairs pencils lamps bottles candles plates boxes tickets oranges cups shirts bricks "
    "spoons carpets mirrors clocks keys stamps").split()

REAL_WORDS = (
    "CAT DOG SUN MAP TREE BIRD FISH LAMP DOOR ROAD MOON STAR BOOK SHIP RAIN SNOW WIND FIRE GOLD IRON "
    "APPLE BREAD CHAIR DREAM EARTH FIELD GRAPE HOUSE ISLAND JUICE KNIFE LEMON MONEY NIGHT OCEAN PLANE "
    "QUEEN RIVER STONE TABLE UNCLE VOICE WATER YOUTH ZEBRA BANANA CASTLE DONKEY ENGINE FLOWER GARDEN "
    "HAMMER INSECT JACKET KITTEN LADDER MARKET NEEDLE ORANGE PENCIL RABBIT SILVER TEMPLE VALLEY WINDOW "
    "YELLOW BALLOON CABBAGE DIAMOND ELEMENT FEATHER GIRAFFE HARBOUR JOURNEY KITCHEN LANTERN MACHINE "
    "NETWORK OCTOBER PICTURE QUARTER RAINBOW SAILING TEACHER UNIFORM VILLAGE WEATHER LETTER COFFEE "
    "PEPPER SUMMER WINTER BUTTER COTTON PUPPET TOMATO POTATO PAPAYA COCOA LEVEL RADAR MIRROR").split()

TOWNS = (
    "Veldora Marnick Ostrel Quillon Thessa Brundel Calvex Dorwen Elmora Fenwick Galdor Hestia Ilvane "
    "Jorven Kelmar Lundra Morvane Nerith Opaline Pellor Rivenna Solmar Tarvos Umbrel Wexmoor Yarrow "
    "Zandar Ashwick").split()

_RIVERS = "Silverrun Mistwater Greyflow Redbrook Longbend Coldstream Blackwash Sunford Deepwater Swiftline".split()
_MAYORS = ("Ada Crane", "Otto Finch", "Mira Stone", "Hugo Marsh", "Lena Frost", "Ivo Clay", "Nora Wells",
           "Emil Rowan", "Tess Hale", "Karl Dunn", "Ines Ford", "Rolf Vance")
_PRODUCTS = "honey glass cheese wool paper salt copper tea silk ships clocks pottery".split()
_ANIMALS = "fox owl bear heron wolf otter hare swan lynx raven".split()

# attribute -> phrasings of the question
FACT_QUESTIONS = {
    "river": ("Which river flows through {town}?", "What is the river of {town}?", "{town} lies on which river?",
              "Name the river that runs through {town}.", "On which river does {town} stand?",
              "Tell me the river at {town}."),
    "mayor": ("Who is the mayor of {town}?", "What is the name of {town}'s mayor?", "{town} is led by which mayor?",
              "Name the mayor of {town}.", "Which mayor governs {town}?", "Tell me who is mayor in {town}."),
    "product": ("What is {town} famous for making?", "What does {town} produce?", "{town} is known for which product?",
                "Name the product of {town}.", "Which product comes from {town}?", "Tell me what {town} makes."),
    "animal": ("Which animal is on the flag of {town}?", "What animal does the flag of {town} show?",
               "{town} has which animal on its flag?", "Name the animal on {town}'s flag.",
               "Which animal stands for {town}?", "Tell me the flag animal of {town}."),
}


def _draw_facts():
    """(town, attribute) -> answer."""
    rng = random.Random(20240)
    values = {"river": _RIVERS, "mayor": _MAYORS, "product": _PRODUCTS, "animal": _ANIMALS}
    return {(town, attribute): rng.choice(choices) for town in TOWNS for attribute, choices in values.items()}


FACTS = _draw_facts()
