"""Sphinx's settings for the site; read by `python notebooks/website` only."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]

import paicore
from website import docstrings, sources

project = "paicore"
version = release = paicore.__version__
language = "en"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    # Mathematics from a copy of MathJax beside the pages instead of from a host.
    "sphinx-mathjax-offline",
]
# Pages show what is committed. Nothing runs.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline"]
# The claims tables hold quotation marks and dashes as somebody stated them.
smartquotes = False

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# Attributes of dataclasses are documented in the class, not each on its own.
napoleon_use_ivar = True
maximum_signature_line_length = 72
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "paicore"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False


def setup(app):
    """Let docstrings be plain text; napoleon, at 500, reads what this returns.

    Mend links from source to description before viewcode, at 500, writes them.
    """
    app.connect("autodoc-process-docstring", docstrings.process, priority=400)
    app.connect("html-collect-pages", sources.lead_back, priority=400)
