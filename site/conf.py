"""How Sphinx shows what site/build.py has staged.

The theme is Furo. Beside sphinx-book-theme, measured on lesson 00 in headless Chromium: 0.24 MB for a page against
2.5 (1.6 of it a script of icons), every font and script local in both. axe found faults of one line in each; Furo's
are mended below. Furo reads well at 360 pixels, keeps to the reader's own light or dark, and is still released.
"""

project = html_title = "SLM Lab"
extensions = ["myst_nb"]
root_doc = "lessons"
language = "en"
nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the stored outputs are HTML: no widget manager, no require.js
nb_mime_priority_overrides = [("html", "text/html", 0)]
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4  # as the repository's page has them
highlight_language = "none"  # of a block that names none: commands, trees of files
html_theme = "furo"
html_static_path, html_css_files, html_js_files = ["static"], ["site.css"], ["site.js"]
html_favicon = "static/icon.svg"
html_show_sourcelink = html_copy_source = html_show_copyright = html_use_index = False
pygments_style, pygments_dark_style = "a11y-high-contrast-light", "a11y-high-contrast-dark"


def page(app, name, template, context, doctree):
    """What the theme lacks: a level for the headings of its list, and a title that leads to the first page."""
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    context["master_doc"] = "index"


def setup(app):
    app.connect("html-page-context", page, priority=900)  # after the theme's own
