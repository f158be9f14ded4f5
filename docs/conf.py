"""How the pages are built."""

from importlib.metadata import version as installed_version

project = "aiostub"
author = "the aiostub authors"
copyright = "2026, the aiostub authors"  # noqa: A001 - Sphinx's name
version = release = installed_version("aiostub")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"aiostub {version}"

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
