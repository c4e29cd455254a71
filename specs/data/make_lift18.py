"""Make the lift18 suite from lift18.yaml: `python make_lift18.py FOLDER` writes lift18.jsonl.

The asserts hold what the reference solution returns, compared by `is` where that is True, False or None.
"""

import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent


def asserts(item):
    """One assert statement a call."""
    known = {}
    exec(item["solution"], known)
    for call in item["calls"]:
        expression = item["function"] + call
        expected = eval(expression, known)
        same = "is" if expected is None or isinstance(expected, bool) else "=="
        yield f"assert {expression} {same} {expected!r}"


def rows():
    """The rows, in the order of the source."""
    for item in yaml.safe_load((HERE / "lift18.yaml").read_text(encoding="utf-8")):
        yield {
            "id": item["name"],
            "function": item["function"],
            "prompt": item["prompt"],
            "tests": list(asserts(item)),
            "category": item["category"],
            "complexity": item["complexity"],
            "solution": item["solution"],
        }


def main(folder):
    text = "".join(json.dumps(row) + "\n" for row in rows())
    (Path(folder) / "lift18.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
