"""Make the code_basics suite from code_basics.yaml: `python make_code_basics.py FOLDER` writes its two jsonl files."""

import json
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).parent


def rows(split):
    """The rows of one split, in the order of the source."""
    for item in yaml.safe_load((HERE / "code_basics.yaml").read_text(encoding="utf-8")):
        if item["split"] == split:
            yield {
                "id": item["name"],
                "entry_point": item["name"],
                "prompt": item["prompt"],
                "tests": item["tests"],
                "difficulty": item["difficulty"],
                "topic": item["topic"],
                "solution": item["solution"],
            }


def main(folder):
    for split in ("train", "test"):
        text = "".join(json.dumps(row) + "\n" for row in rows(split))
        (Path(folder) / f"code_basics.{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else HERE)
