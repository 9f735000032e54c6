"""Links back from a page of source code to where each function is described."""


def lead_back(app):
    """Sphinx's hook before viewcode writes the pages of source.

    Where a module shows a function of another one, viewcode keeps the page of one of
    the two and the name of the other, and its link back leads to no anchor.
    """
    described = app.env.get_domain("py").objects
    for entry in getattr(app.env, "_viewcode_modules", {}).values():
        if not entry:  # a module without source
            continue
        _, _, used, module = entry
        for name in used:
            if found := described.get(f"{module}.{name}"):
                used[name] = found.docname
    return []
