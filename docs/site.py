"""A hook of mkdocs: docstrings are written for `help()`, and what a web page shows otherwise is turned here."""

import re

_ROLE = re.compile(r":(?:func|class|meth|mod|data|attr):<code>[.~]*")


def on_page_content(html: str, **_: object) -> str:
    """Show :func:`.name` as the name alone."""
    return _ROLE.sub("<code>", html)
