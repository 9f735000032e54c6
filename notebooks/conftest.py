"""What nbval must not compare; text on stdout is what the checked cells hold."""

# HTML and SVG carry generated ids and dates, stderr a process id; the form rules
# refuse them in committed notebooks anyway. Nothing numeric is exempt.
NOT_COMPARED = ("stderr", "text/html", "image/svg+xml", "application/pdf")


def pytest_itemcollected(item):
    """Extend the list that nbval keeps on each notebook."""
    skipped = getattr(item.parent, "skip_compare", None)
    if skipped is not None and "stderr" not in skipped:
        item.parent.skip_compare = (*skipped, *NOT_COMPARED)
