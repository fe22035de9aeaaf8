"""Write the generated country: ``python -m parcelle.demo FOLDER``."""

import argparse

from parcelle.demo import country
from parcelle.errors import in_one_sentence


@in_one_sentence
def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m parcelle.demo", description="Write a generated country.")
    parser.add_argument("folder", help="folder to write; it is made if it is not there")
    folder = parser.parse_args(words).folder
    country.write(folder)
    there = country.DEFAULT
    print(f"{folder}: {len(there.tiles)} tiles, {len(there.dates)} dates, {len(there.classes)} classes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
