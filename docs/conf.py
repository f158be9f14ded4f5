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

default_role = "py:obj"  # a name in a docstring leads to where it is documented
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the texts say what an argument takes, and most take matchers, too
autodoc_preserve_defaults = True
napoleon_attr_annotations = False
