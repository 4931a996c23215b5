"""Configuration of the documentation site: `make docs` builds it, strictly and without network."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS / "_ext"))

from rankbench.common.version import VERSION  # noqa: E402

project = "Rankbench"
author = "the Rankbench contributors"
copyright = "the Rankbench contributors"
version = release = VERSION

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_argparse_cli",
    # Our own, in _ext/:
    "mathml",
    "docstrings",
    "generated",
    "outside_links",
]
exclude_patterns = ["_build", "_generated/*.md"]  # those are parts of pages
suppress_warnings = ["myst.header"]  # a generated page may begin with a second-level heading

# Markdown, and the notebooks of analysis/ with the outputs that are stored in them.
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]

# Docstrings.
default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
add_module_names = False
toc_object_entries_show_parents = "hide"

# Looks.
html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"Rankbench {VERSION}"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_show_sphinx = False
html_copy_source = False
copybutton_prompt_text = r"^\$ |^>>> |^\.\.\. "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"
