"""How pages look: light and dark, on a wide screen, on a small one, and on paper."""

STYLE = """
:root{color-scheme:light dark;--page:#fff;--ink:#1f2328;--faint:#656d76;--line:#d8dee4;--soft:#f6f8fa;--link:#0969da;
--good:#1a7f37;--bad:#cf222e;--warn:#9a6700;--busy:#0969da;--badsoft:#ffebe9;--warnsoft:#fff8e5;
--red:#cf222e;--green:#116329;--yellow:#7d4e00;--blue:#0550ae;--magenta:#8250df;--cyan:#136a73;--white:#6e7781;--black:#24292f}
@media(prefers-color-scheme:dark){:root{--page:#0d1117;--ink:#e6edf3;--faint:#8d96a0;--line:#30363d;--soft:#161b22;
--link:#4493f8;--good:#3fb950;--bad:#f85149;--warn:#d29922;--busy:#58a6ff;--badsoft:#2d1416;--warnsoft:#272115;
--red:#ff7b72;--green:#56d364;--yellow:#e3b341;--blue:#79c0ff;--magenta:#d2a8ff;--cyan:#76e3ea;--white:#b1bac4;--black:#8b949e}}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,"Noto Sans","Noto Sans CJK SC",sans-serif;margin:0 auto;max-width:66rem;
padding:1.5rem 1rem 4rem;background:var(--page);color:var(--ink)}
a{color:var(--link)}h1{font-size:1.65rem;line-height:1.25;margin:0 0 .3rem;overflow-wrap:anywhere}
pre,code,.count,.file{font-family:ui-monospace,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace}
pre{font-size:13px;line-height:1.45;margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
header{border-bottom:1px solid var(--line);margin-bottom:1rem;padding-bottom:.8rem}
.sub{color:var(--faint);margin:.2rem 0 .7rem;overflow-wrap:anywhere}
.chips,.facts{display:flex;flex-wrap:wrap;gap:.3rem .5rem;font-size:12.5px;color:var(--faint);align-items:center}
.chips{margin:.5rem 0}.facts{margin-top:.35rem}
.chips>span,.facts>:is(.status,.lost,.file){border:1px solid var(--line);border-radius:1rem;padding:.05rem .55rem}
.facts>span:not([class])+span:not([class])::before{content:"· "}.file b{font-weight:600;color:var(--ink)}
.facts>.file{font-size:12px;overflow-wrap:anywhere}
.chips .status,.facts .status{font-weight:600;color:var(--faint)}.facts .status.ok{border:0;padding:0;font-weight:400}
.status.ok{color:var(--good)!important}.status:is(.error,.died){color:var(--bad)!important;border-color:currentColor}
.status:is(.timeout,.interrupted,.aborted,.denied,.unfinished),.lost{color:var(--warn)!important;border-color:currentColor}
.status.running,.live{color:var(--busy)!important;border-color:currentColor}
.live{position:fixed;top:.6rem;right:1rem;background:var(--page);z-index:1;font-weight:600;
font-variant-numeric:tabular-nums}
.live.ended,.live.gone{color:var(--faint)!important}.live.lost{color:var(--bad)!important}
.problems{font-size:13px;margin:.4rem 0}.problems a{margin-right:.4rem}
details{margin:.35rem 0}summary{cursor:pointer;color:var(--faint);font-size:13.5px}
details details{margin-left:1rem}table.plain{font-size:12.5px;margin:.4rem 0 .4rem 1rem;border-collapse:collapse}
table.plain td{border:0;padding:.05rem .8rem .05rem 0;vertical-align:top;overflow-wrap:anywhere;text-align:left}
.cell{display:grid;grid-template-columns:3.4rem minmax(0,1fr);margin:.9rem 0;scroll-margin-top:1rem}
.count{color:var(--faint);font-size:12px;padding:.5rem .5rem 0 0;text-align:right}
.body{min-width:0}.code .body{border-left:3px solid var(--line);padding-left:.75rem}
.code:is(.error,.died) .body{border-color:var(--bad)}.code.ok .body{border-color:var(--line)}
.code:is(.timeout,.interrupted,.aborted,.denied,.unfinished) .body{border-color:var(--warn)}
.code.running .body{border-color:var(--busy)}.code.skipped{opacity:.65}
.source{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:.5rem .7rem}
.outputs{padding:.45rem .1rem 0}.outputs>*{margin:.25rem 0}
.outputs pre{padding:.1rem .6rem}.outputs .stderr{background:var(--warnsoft);border-radius:6px;padding:.4rem .6rem}
.outputs .error{background:var(--badsoft);border-radius:6px;padding:.5rem .6rem}
.tall{max-height:32rem;overflow:auto}
.event{color:var(--faint)}.event .body{border:1px dashed var(--line);border-radius:6px;padding:.2rem .8rem}
.restart .body,.resume .body{border-color:var(--warn)}
img{max-width:100%;height:auto}img.picture{display:block;background:#fff;border-radius:6px;padding:2px}
.frame{width:100%;height:26rem;border:1px solid var(--line);border-radius:6px;background:#fff;resize:vertical;
color-scheme:light}
.html{overflow-x:auto}.text>:first-child{margin-top:.2rem}.text>:last-child{margin-bottom:.2rem}
.text pre{background:var(--soft);padding:.5rem .7rem;border-radius:6px}
.text :not(pre)>code{background:var(--soft);padding:.1rem .3rem;border-radius:4px;font-size:13px}
blockquote{border-left:3px solid var(--line);color:var(--faint);margin:.5rem 0;padding-left:.8rem}
.html table{border-collapse:collapse;font-size:13px;margin:.3rem 0;font-variant-numeric:tabular-nums}
.html :is(td,th){border:0;padding:.22rem .7rem;text-align:right;white-space:nowrap}
.html thead tr:last-child th{border-bottom:1px solid var(--faint)}.html tbody tr:nth-child(even){background:var(--soft)}
.text :is(td,th){text-align:left;white-space:normal}
.bold{font-weight:600}.faint{opacity:.7}.italic{font-style:italic}.underline{text-decoration:underline}
.struck{text-decoration:line-through}.c-page{color:var(--page)}.b-ink{background:var(--ink)}
.k,.kn,.kc,.kd,.kr,.ow,.kt{color:var(--magenta)}.s,.s1,.s2,.sa,.sb,.sc,.sd,.se,.sh,.si,.sx,.sr,.ss{color:var(--green)}
.c,.c1,.cm,.ch,.cs,.cp{color:var(--faint);font-style:italic}.mi,.mf,.mh,.mb,.mo,.m,.il{color:var(--blue)}
.nf,.fm,.nc,.nd{color:var(--blue)}.nb,.bp,.nn{color:var(--cyan)}.o{color:var(--ink)}
.c-rgb{color:rgb(var(--c))}.b-rgb{background:rgb(var(--b))}.c-free{color:color-mix(in oklab,rgb(var(--c)) 75%,black)}
@media(prefers-color-scheme:dark){.c-free{color:color-mix(in oklab,rgb(var(--c)) 60%,white)}}
@media(max-width:40rem){body{padding:1rem .6rem}.cell{grid-template-columns:1fr}.count{text-align:left;padding:0}}
@media print{.tall{max-height:none}.cell{break-inside:avoid-page}}
""" + "".join(
    f".c-{name}{{color:var(--{name})}}.b-{name}{{background:var(--{name});color:var(--page)}}"
    for name in ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
)
