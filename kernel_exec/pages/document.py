"""A whole page, which needs nothing but itself."""

from __future__ import annotations

from kernel_exec.pages.outputs import escaped
from kernel_exec.pages.style import STYLE

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do for the page: draw it. No script runs, and nothing is loaded."""


def policy_with(nonce: str) -> str:
    """Return the policy under which scripts run that have a nonce, in the frames that outputs were given.

    Frames have the policy of their page as well, so nothing is loaded there either.
    """
    return f"{POLICY}; script-src 'nonce-{nonce}' 'unsafe-eval'; font-src data:"


def page(title: str, body: str, *, style: str = "", policy: str = POLICY) -> str:
    """Return a page.

    Args:
        title: its title, a text.
        body: HTML.
        style: more CSS.
        policy: its Content-Security-Policy.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escaped(policy)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        f"<title>{escaped(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
