"""How Sphinx builds the documentation: ``make docs``."""

import re
from pathlib import Path

# Read, not imported: the pages need none of the libraries that the package is made of.
_PACKAGE = Path(__file__).parents[1] / "workflow/parcelle/__init__.py"

project = "Parcelle"
author = "Parcelle contributors"
copyright = author
version = re.findall(r'^__version__ = "(.+)"$', _PACKAGE.read_text(encoding="utf-8"), re.MULTILINE)[0]
release = version

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = f"Parcelle {version}"
html_show_sourcelink = False
html_copy_source = False
