"""Record what aioresponses makes of every script, or check that it still makes the same.

::

    python tests/compat/record.py            # writes tests/compat/aioresponses.json
    python tests/compat/record.py --check    # compares, and says what differs

Needs an environment with aioresponses 0.7.9 and aiohttp 3.13.5.
"""

import json
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from differential import RECORDED, load, transcript

PINNED = {"aioresponses": "0.7.9", "aiohttp": "3.13.5"}


def _made() -> dict[str, list[str]]:
    return {name: transcript(script, "aioresponses") for name, script in load().items()}


def main() -> None:
    """Record, or check."""
    from importlib.metadata import version

    installed = {name: version(name) for name in PINNED}
    if installed != PINNED:
        sys.exit(f"this is for {PINNED}, and installed are {installed}")
    logging.disable()
    made = _made()
    if "--check" not in sys.argv:
        text = json.dumps(made, indent=1, ensure_ascii=True, sort_keys=True)
        RECORDED.write_text(text + "\n", encoding="utf-8")
        print(f"{len(made)} transcripts")
        return
    known = json.loads(RECORDED.read_text(encoding="utf-8"))
    wrong = sorted(name for name in {*made, *known} if made.get(name) != known.get(name))
    print(f"{len(made)} transcripts, {len(wrong)} differ")
    for name in wrong:
        print(f"{name}\n  recorded {known.get(name)}\n  now      {made.get(name)}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
