"""Make the arithmetic suite: `python make_arithmetic.py FOLDER` writes arithmetic.train.jsonl and arithmetic.test.jsonl.

Twelve templates, three levels of difficulty. The standard library only, one fixed seed: the same bytes on every machine.

Train and test cannot overlap. Every question stands for a canonical problem (operation and operands; sorted, where
their order does not matter; one and the same for the bare question and the story about it), and a hash of the canonical
problem alone decides which of the two splits it may enter.
"""

import hashlib
import json
import random
import sys
from pathlib import Path

SEED = 20240229
PER_CELL = {"train": 11, "test": 8}
SHOWN = {("+", 3, 36), ("next", 2, 2), ("-", 7, 4)}  # solved before every question in tasks/arithmetic.yaml
LEVELS = ("easy", "medium", "hard")
NAMES = ("Anna", "Ben", "Carla", "David", "Emma", "Farid", "Grace", "Hugo", "Ines", "Jonas")
THINGS = ("apples", "books", "coins", "eggs", "marbles", "pencils", "shells", "stickers")


def add(rng, level):
    low, high = {"easy": (1, 10), "medium": (10, 30), "hard": (31, 300)}[level]
    a, b = rng.randint(low, high), rng.randint(low, high)
    return ("+", *sorted((a, b))), f"What is {a} + {b}?", a + b


def subtract(rng, level):
    low, high = {"easy": (1, 12), "medium": (10, 30), "hard": (31, 300)}[level]
    b, a = sorted(rng.sample(range(low, high + 1), 2))
    return ("-", a, b), f"What is {a} - {b}?", a - b


def multiply(rng, level):
    low, high, other = {"easy": (2, 10, 9), "medium": (10, 20, 5), "hard": (11, 50, 20)}[level]
    a, b = rng.randint(low, high), rng.randint(2, other)
    return ("*", *sorted((a, b))), f"What is {a} times {b}?", a * b


def next_number(rng, level):
    low, high, steps = {"easy": (1, 60, (1,)), "medium": (1, 60, (2, 5, 10)), "hard": (1, 200, (3, 4, 6, 7))}[level]
    a, step = rng.randint(low, high), rng.choice(steps)
    row = [a + step * place for place in range(5)]
    return ("next", a, step), f"Which number comes next: {', '.join(map(str, row[:4]))}?", row[4]


def story_add(rng, level):
    low, high = {"easy": (1, 15), "medium": (10, 30), "hard": (31, 200)}[level]
    a, b = rng.randint(low, high), rng.randint(low, high)
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    text = f"{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?"
    return ("+", *sorted((a, b))), text, a + b


def story_subtract(rng, level):
    low, high = {"easy": (1, 14), "medium": (10, 30), "hard": (31, 200)}[level]
    b, a = sorted(rng.sample(range(low, high + 1), 2))
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    return ("-", a, b), f"{name} has {a} {things} and gives away {b}. How many {things} are left?", a - b


def story_two_steps(rng, level):
    bags, each, more = {"easy": (4, 5, 4), "medium": (6, 8, 10), "hard": (20, 20, 50)}[level]
    a, b, c = rng.randint(2, bags), rng.randint(2, each), rng.randint(1, more)
    name, things = rng.choice(NAMES), rng.choice(THINGS)
    text = f"{name} buys {a} bags with {b} {things} in each bag, and finds {c} more. How many {things} is that in all?"
    return ("*+", *sorted((a, b, c))), text, a * b + c


def larger(rng, level):
    low, high = {"easy": (1, 20), "medium": (21, 999), "hard": (1000, 99999)}[level]
    a, b = rng.sample(range(low, high + 1), 2)
    return ("max", *sorted((a, b))), f"Which number is larger, {a} or {b}?", max(a, b)


def largest(rng, level):
    count, high = {"easy": (3, 20), "medium": (4, 99), "hard": (6, 999)}[level]
    numbers = rng.sample(range(1, high + 1), count)
    text = f"What is the largest number in this list: {', '.join(map(str, numbers))}?"
    return ("max", *sorted(numbers)), text, max(numbers)


def smallest(rng, level):
    count, high = {"easy": (3, 20), "medium": (4, 99), "hard": (6, 999)}[level]
    numbers = rng.sample(range(1, high + 1), count)
    text = f"What is the smallest number in this list: {', '.join(map(str, numbers))}?"
    return ("min", *sorted(numbers)), text, min(numbers)


def count(rng, level):
    length = {"easy": (1, 3), "medium": (4, 6), "hard": (7, 12)}[level]
    words = rng.choices(THINGS, k=rng.randint(*length))
    return ("count", *sorted(words)), f"How many words are in this list: {', '.join(words)}?", len(words)


def remainder(rng, level):
    high, divisor = {"easy": (20, 5), "medium": (50, 9), "hard": (500, 25)}[level]
    b = rng.randint(2, divisor)
    a = rng.randint(b + 1, high)
    return ("%", a, b), f"What is the remainder when {a} is divided by {b}?", a % b


TEMPLATES = (
    add,
    subtract,
    multiply,
    next_number,
    story_add,
    story_subtract,
    story_two_steps,
    larger,
    largest,
    smallest,
    count,
    remainder,
)


def split_of(problem):
    """The one split that a canonical problem may be in: 11 of 19 are train, as in PER_CELL."""
    digest = hashlib.sha256(json.dumps(problem).encode()).digest()
    total = sum(PER_CELL.values())
    return "train" if int.from_bytes(digest[:8], "big") % total < PER_CELL["train"] else "test"


def rows():
    """Both splits: split → rows, in the order of templates and levels."""
    made = {split: [] for split in PER_CELL}
    taken = set(SHOWN)
    for template in TEMPLATES:
        for level in LEVELS:
            rng = random.Random(f"{SEED}/{template.__name__}/{level}")
            wanted = dict(PER_CELL)
            for _ in range(10_000):
                if not any(wanted.values()):
                    break
                problem, question, answer = template(rng, level)
                split = split_of(problem)
                if problem in taken or not wanted[split]:
                    continue
                taken.add(problem)
                wanted[split] -= 1
                number = PER_CELL[split] - wanted[split]
                made[split].append(
                    {
                        "id": f"{template.__name__}-{level}-{split}-{number}",
                        "template": template.__name__,
                        "difficulty": level,
                        "question": question,
                        "answer": answer,
                    }
                )
            if any(wanted.values()):
                raise ValueError(f"{template.__name__}, {level}: too few different problems in this range")
    return made


def main(folder):
    for split, made in rows().items():
        text = "".join(json.dumps(row) + "\n" for row in made)
        (Path(folder) / f"arithmetic.{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
