"""A whole page, which needs nothing but itself."""

from __future__ import annotations

from kernel_exec.pages.outputs import escaped

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may do for the page: draw it. No script runs, and nothing is loaded."""

STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:75rem;padding:1rem}
pre{font:13px/1.45 ui-monospace,monospace;margin:0;overflow-x:auto;white-space:pre-wrap;overflow-wrap:anywhere}
section{margin:.8rem 0}section.code{border-left:3px solid var(--line);padding-left:.8rem}
.prompt{color:#888;font:12px ui-monospace,monospace}.source{background:var(--soft);padding:.4rem .6rem}
.outputs{padding:.3rem .6rem}.stderr{background:#d332}.error{background:#d332}
img.picture{max-width:100%;background:#fff}.html{overflow-x:auto}
table{border-collapse:collapse;font-size:13px}td,th{border:1px solid var(--line);padding:.15rem .5rem;text-align:right}
.bold{font-weight:bold}.c-red{color:#c33}.c-green{color:#292}.c-yellow{color:#a70}.c-blue{color:#36c}
.c-magenta{color:#a3a}.c-cyan{color:#088}.k,.kn,.kc{color:#a3a}.s1,.s2,.sd{color:#292}.c1{color:#888}.mi,.mf{color:#36c}
"""


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
        f"<title>{escaped(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
