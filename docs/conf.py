"""Settings of the documentation site. ``make docs`` builds it with ``build.py`` beside this file."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from ember_widgets._version import __version__  # noqa: E402

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx
    from sphinx.writers.html5 import HTML5Translator

project = "ember_widgets"
author = "ember_widgets authors"
copyright = author
version = release = __version__
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
root_doc = "index"
exclude_patterns = ["notebooks/images/*"]
highlight_language = "none"
default_role = "code"  # `name` in a docstring

# "More than one target": a word of a docstring may be the name of several things. It is not made a link then.
suppress_warnings = ["ref.python"]

# Notebooks: build.py has run them.
nb_execution_mode = "off"
nb_merge_streams = True
myst_enable_extensions = ["attrs_inline", "colon_fence", "dollarmath"]
myst_heading_anchors = 4

# Reference: Google style docstrings; types come from the signatures.
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
autodoc_inherit_docstrings = False
python_use_unqualified_type_names = True
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
toc_object_entries_show_parents = "hide"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "ember_widgets"
html_static_path = ["site/static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "logo": {"text": "ember_widgets"},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["sphinx-version"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "gallery": [], "changelog": [], "user-guide": [], "search": []}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"


def _math(self: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw by themselves: nothing is fetched."""
    from docutils import nodes
    from docutils.utils.math.latex2mathml import tex2mathml

    block = isinstance(node, nodes.math_block)
    formula = re.sub(r"\\[lr]Vert", r"\\|", node.astext())
    self.body.append(
        f"<div class='formula'>{tex2mathml(formula, as_block=True)}</div>" if block else tex2mathml(formula)
    )
    raise nodes.SkipNode


def _signature(
    app: Sphinx, what: str, name: str, thing: Any, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """What a widget takes: traitlets hides it, since its ``__new__`` takes anything."""
    if what != "class" or signature != "(*args, **kwargs)":
        return None
    parameters = list(inspect.signature(thing.__init__).parameters.values())[1:]
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(plain)), returns


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", _signature)
    app.add_html_math_renderer("mathml", (_math, None), (_math, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
