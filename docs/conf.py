"""How Sphinx makes the site: `.ci/run docs`. The pages are files of this repository, at their places in it."""

from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

import fastsoftmax

project = "fastsoftmax"
author = "The fastsoftmax developers"
version = release = fastsoftmax.__version__

# The root of the sources is that of the repository, so that a link to a file is the same here and on a code host.
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "csrc/README.md",
    "bench/README.md",
    "bench/NOTES.md",
    "release/README.md",
]
exclude_patterns = ["build", ".venv*"]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc",
    "autoapi.extension",
    "sphinxarg.ext",
]

myst_heading_anchors = 4

# Docstrings have the types of parameters in words, so signatures are shown without annotations.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
# The modules for other libraries are read, not imported: those libraries need not be there.
autoapi_dirs = ["fastsoftmax/integrations"]
autoapi_generate_api_docs = False
autoapi_add_toctree_entry = False
suppress_warnings = ["autoapi.python_import_resolution"]  # what they import of the rest of the package is not read
numpydoc_show_class_members = False
# Sections that exist and are in their order, parameters that exist, sentences that end.  Not the order of parameters
# (PR03) and a type for each (PR04), since a group of them is described once: "temperature, axis: as in softmax".
numpydoc_validation_checks = {
    *("GL05", "GL06", "GL07", "GL09", "GL10"),
    *("PR02", "PR05", "PR09", "PR10", "RT02", "RT05", "SS04", "SS06"),
}

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"fastsoftmax {release}"
html_static_path = ["_static"]
html_extra_path = ["_extra"]  # the page at the root, which leads to docs/index.html
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_math_renderer = "mathml"


def write_mathml(translator, node):
    """A formula as MathML, which browsers show without a script; MathJax would be fetched from a foreign host."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def link_to_try(app, pagename, templatename, context, doctree):
    """Where docs/try/build.py has put its page into the site, the text about it leads there."""
    if pagename == "docs/try/README" and Path(app.outdir, "docs", "try", "index.html").exists():
        link = '<p><strong><a href="index.html">Open the page</a></strong></p>'
        context["body"] = context["body"].replace("</h1>", f"</h1>\n{link}", 1)


def setup(app):
    app.connect("html-page-context", link_to_try)
    app.add_html_math_renderer("mathml", (write_mathml, None), (write_mathml, None))
