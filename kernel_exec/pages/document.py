"""A whole page, which needs nothing but itself."""

from __future__ import annotations

from kernel_exec.pages.outputs import escaped
from kernel_exec.pages.style import STYLE

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""What a browser may do for the page: draw it. No script runs, and nothing is loaded."""


def policy_with(nonce: str) -> str:
    """Return the policy under which scripts run that have a nonce, in the frames that outputs were given.

    Frames have the policy of their page. It is two, and both must agree: by the first only what has the nonce runs, and
    by the second only what stands in the page, as a nonce alone allows scripts from anywhere
    (https://www.w3.org/TR/CSP3/#multiple-policies).
    """
    inline = "script-src 'unsafe-inline' 'unsafe-eval'"
    return f"{POLICY}; webrtc 'block'; font-src data:; script-src 'nonce-{nonce}' 'unsafe-eval', {inline}"


def page(title: str, body: str, *, style: str = "", policy: str = POLICY) -> str:
    """Return a page.

    Args:
        title: its title, a text.
        body: HTML.
        style: more CSS.
        policy: its Content-Security-Policy; of several that all hold, with commas between them.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"{''.join(map(_allowed, policy.split(',')))}"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        '<meta http-equiv="x-dns-prefetch-control" content="off">'
        f"<title>{escaped(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _allowed(policy: str) -> str:
    return f'<meta http-equiv="Content-Security-Policy" content="{escaped(policy.strip())}">'
