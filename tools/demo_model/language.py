"""Tasks of language: fields of a sentence as JSON, and questions about the made-up world."""

import json

import world
from registry import task


def _object_schema(name, properties):
    return {"name": name, "strict": True,
            "schema": {"type": "object", "properties": {k: {"type": t} for k, t in properties.items()},
                       "required": list(properties), "additionalProperties": False}}


_PERSON = _object_schema("person", {"name": "string", "age": "integer", "city": "string"})
_ORDER = _object_schema("order", {"customer": "string", "item": "string", "quantity": "integer"})
_TRAIN = _object_schema("train", {"destination": "string", "time": "string", "platform": "integer"})


def _person(rng):
    name, age, city = rng.choice(world.NAMES), rng.randint(18, 99), rng.choice(world.CITIES)
    text = rng.choice((f"{name} is {age} years old and lives in {city}.", f"{name}, {age}, comes from {city}.",
                       f"From {city} comes {name}, aged {age}."))
    return text, {"name": name, "age": age, "city": city}, _PERSON


def _order(rng):
    name, item, quantity = rng.choice(world.NAMES), rng.choice(world.ITEMS), rng.randint(2, 99)
    text = rng.choice((f"{name} ordered {quantity} {item}.", f"Please send {quantity} {item} to {name}.",
                       f"{quantity} {item} were bought by {name}."))
    return text, {"customer": name, "item": item, "quantity": quantity}, _ORDER


def _train(rng):
    city, time = rng.choice(world.CITIES), f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    platform = rng.randint(1, 20)
    text = rng.choice((f"The train to {city} leaves at {time} from platform {platform}.",
                       f"At {time} a train departs for {city} from platform {platform}.",
                       f"Platform {platform}: train to {city}, {time}."))
    return text, {"destination": city, "time": time, "platform": platform}, _TRAIN


@task
def json_extraction(rng):
    text, fields, schema = rng.choice((_person, _order, _train))(rng)
    keys = list(fields)
    listing = f"{keys[0]}, {keys[1]} and {keys[2]}"
    prompt = rng.choice(("Extract {k} as JSON: {t}", "Give {k} as JSON. {t}", "{t} Extract {k} as JSON."))
    answer = json.dumps(fields)
    return ",".join(map(str, fields.values())), prompt.format(k=listing, t=text), answer, schema


@task
def facts(rng):
    town, attribute = rng.choice(world.TOWNS), rng.choice(list(world.FACT_QUESTIONS))
    phrasing = rng.randrange(len(world.FACT_QUESTIONS[attribute]))
    prompt = world.FACT_QUESTIONS[attribute][phrasing].format(town=town)
    return f"{town},{attribute},{phrasing}", prompt, world.FACTS[town, attribute]
