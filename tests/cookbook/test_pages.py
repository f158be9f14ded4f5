"""The pages show the recipes as they are, and all of them."""

import re
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
PAGES = [DOCS / "cookbook.md", *sorted(DOCS.glob("cookbook/*.md"))]

OURS = {"conftest.py", "test_pages.py", "test_recipes_bite.py"}


def included(page):
    """Resolve the files that a page includes."""
    paths = re.findall(
        r"^```\{literalinclude\} (\S+)$", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [(page.parent / path).resolve() for path in paths]


def test_every_recipe_is_shown_once():
    """Word for word, since the page includes the file."""
    shown = Counter(path for page in PAGES for path in included(page))
    recipes = {path for path in HERE.glob("*.py") if path.name not in OURS}
    assert dict.fromkeys(recipes, 1) == shown


def test_no_code_is_written_twice():
    """What is Python on a page of the cookbook is a recipe."""
    for page in PAGES:
        assert "```python" not in page.read_text(encoding="utf-8"), page.name
