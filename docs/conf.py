"""Sphinx configuration. Nothing here needs the network: no intersphinx."""

import sys
from pathlib import Path

import skflow

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # for `benchmarks`

project = "skflow"
author = "The skflow developers"
copyright = "2026, The skflow developers"
version = release = skflow.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
# A docstring's References section need not be cited from its text.
suppress_warnings = ["ref.citation"]

autosummary_generate = True
autosummary_ignore_module_all = False  # a module page lists what its __all__ names
autodoc_typehints = "none"  # types are in the numpydoc sections
numpydoc_show_class_members = False  # the class template lists them

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/](plot_\w+|quickstart)\.py$",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_signature": False,
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = f"skflow {version}"
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False, "show_toc_level": 2}


def skip_foreign(app, what, name, obj, skip, options):
    """Leave out members that torch or scikit-learn defines: their pages document them."""
    module = getattr(obj, "__module__", None) or ""
    return True if module.split(".")[0] in {"torch", "sklearn"} else None


def write_benchmark_tables(app):
    from benchmarks.support.views.kinds import write_all

    write_all(HERE / "generated" / "benchmarks")


def setup(app):
    app.connect("builder-inited", write_benchmark_tables)
    app.connect("autodoc-skip-member", skip_foreign)
