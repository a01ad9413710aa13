"""The report's one style sheet. One accent a side, all told apart by lightness too; everything else is ink on paper."""

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1b2430;--muted:#566273;--rule:#d8dee6;--wash:#f5f7f9;--up:#8796a8;
--customer:#0a5ea8;--isp:#8a6300;--transit:#00745a;--provider:#c23c0a;--carrier:#94326f;--undetermined:#5c6572;
--un:#7b8796}
@media (prefers-color-scheme:dark){:root{--paper:#12161b;--ink:#e4e8ee;--muted:#a2adbb;--rule:#333b46;--wash:#1a2027;
--up:#75859a;--customer:#6ab4f5;--isp:#e2b04a;--transit:#46c7a2;--provider:#ff8f63;--carrier:#e59bcb;
--undetermined:#a8b2bf;--un:#7f8b9b}}
.s-customer{--c:var(--customer)}.s-isp{--c:var(--isp)}.s-transit{--c:var(--transit)}.s-provider{--c:var(--provider)}
.s-carrier{--c:var(--carrier)}.s-undetermined{--c:var(--undetermined)}
*{box-sizing:border-box}
html{background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Liberation Sans",Arial,sans-serif;-webkit-text-size-adjust:100%;font-variant-numeric:tabular-nums}
body{margin:0 auto;max-width:66rem;padding:2.5rem 1.5rem 5rem;overflow-wrap:anywhere}
h1,h2,h3,.headline{font-family:"Iowan Old Style","Palatino Linotype",Palatino,"Book Antiqua",Georgia,"Liberation Serif",
serif;font-weight:600;line-height:1.2}
h1{font-size:2.3rem;margin:.1em 0 .3em;letter-spacing:-.01em}
h2{font-size:1.6rem;margin:4.5rem 0 1rem;padding-top:1.2rem;border-top:2px solid var(--ink)}
h3{font-size:1.2rem;margin:2.4rem 0 .7rem}
h4{font-size:1rem;margin:1.6rem 0 .5rem}
h4 small,.labels small{color:var(--muted);font-weight:400;font-size:.8125em}
p{margin:.5rem 0;text-wrap:pretty}a{color:inherit;text-decoration-thickness:1px;text-underline-offset:2px}
:focus-visible{outline:3px solid var(--customer);outline-offset:2px}
.lead{font-size:1.15rem;max-width:46rem}.eyebrow,.note,figcaption{color:var(--muted);font-size:.875rem}
.eyebrow{letter-spacing:.04em;margin:0}.note{max-width:46rem}
nav ul{list-style:none;display:flex;flex-wrap:wrap;gap:.3rem 1.2rem;padding:0;margin:1.2rem 0;font-size:.875rem}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1.4rem;margin:1.2rem 0}
dl.facts dt{color:var(--muted)}dl.facts dd{margin:0}
.incidents{list-style:none;padding:0;margin:0}
.incidents>li{border-left:5px solid var(--c);padding:.1rem 0 .1rem 1rem;margin:1.1rem 0}
.headline{font-size:1.2rem;margin:0}.incidents p{margin:.2rem 0;max-width:none}
.tag{display:inline-block;border:1px solid currentColor;border-radius:3px;padding:0 .45em;font-size:.8125rem;
font-weight:600;color:var(--c,var(--ink));white-space:nowrap}
.tag.full{background:var(--c);border-color:var(--c);color:var(--paper)}
.box{background:var(--wash);border:1px solid var(--rule);padding:1rem 1.3rem;margin:1.6rem 0}
.box h3{margin-top:.2rem}.box ul{margin:.4rem 0;padding-left:1.2rem}.box li{margin:.3rem 0}
.scroll{overflow-x:auto;margin:1rem 0}
table{border-collapse:collapse;font-size:.875rem;min-width:100%}
caption{text-align:left;color:var(--muted);padding:0 0 .4rem;font-size:.8125rem}
th,td{text-align:left;vertical-align:top;padding:.4rem .9rem .4rem 0;border-bottom:1px solid var(--rule);
overflow-wrap:normal}
thead th{font-weight:600;border-bottom-color:var(--ink)}tbody th{font-weight:500}
table.numbers td,table.numbers thead th:not(:first-child){text-align:right}
table.numbers td,table.readings :is(td,th){white-space:nowrap}
table.readings :is(td,th):nth-child(n+5){text-align:right}
tr:last-child>*{border-bottom-color:var(--ink)}
table.sum tr:last-child>*{border-top:1px solid var(--ink);font-weight:700}
code{font:.8125rem/1.5 ui-monospace,"SFMono-Regular",Menlo,Consolas,"Liberation Mono",monospace}
.hash{overflow-wrap:anywhere;min-width:11rem;display:inline-block}
pre{background:var(--wash);border:1px solid var(--rule);padding:.8rem 1rem;overflow-x:auto;white-space:pre-wrap}
article{border-top:1px solid var(--rule);padding:.4rem 0 1.2rem}
article>h3{border-left:5px solid var(--c);padding-left:.7rem}
ol.reasons>li,ul.reasons>li{margin:.6rem 0}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--muted);font-size:.875rem}
.defs{position:absolute}
svg{display:block;overflow:visible}svg.swatch{display:inline-block;margin-right:.6rem;vertical-align:-1px}
.timeline{display:grid;grid-template-columns:10.5rem minmax(0,1fr);gap:0 .8rem;margin:1.2rem 0 2.4rem}
.draw{padding:0 .4rem;min-width:0}
.labels{list-style:none;margin:0;padding:0;font-size:.8125rem}
.labels li{height:22px;line-height:22px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.labels li.zone{height:18px;line-height:16px;color:var(--muted);font-size:.6875rem;text-align:right}
.mark::before{content:"";display:inline-block;width:9px;height:9px;background:var(--c);margin-right:.45em}
svg text{fill:var(--ink);font-size:11px}
.tick text{fill:var(--muted);text-anchor:middle}.tick text.first{text-anchor:start}.tick text.last{text-anchor:end}
svg text.name{font-weight:700;font-size:12px}svg text.name.on{fill:var(--paper)}
svg text.said{font-size:11px}
.grid{stroke:var(--rule);fill:none;vector-effect:non-scaling-stroke}
.c{fill:var(--c)}.stop{stop-color:var(--c)}.thin{stroke:var(--c);stroke-width:1}
.up{fill:var(--up)}rect.unmeasured{fill-opacity:1}pattern rect.unmeasured{fill:var(--un)}
.band{fill:var(--c);opacity:.13}figure .band{stroke:var(--c);stroke-width:.5}
.claimed{fill:none;stroke:var(--ink);stroke-width:1.2;stroke-dasharray:3 2}
.post{stroke:var(--ink);stroke-width:2.5}.late{stroke:var(--ink);stroke-width:1.5;stroke-dasharray:1 3}
.part{stroke:var(--paper);stroke-width:1}
rect.claimed.part{stroke:var(--ink);stroke-width:1}
.legend{display:flex;flex-wrap:wrap;gap:.4rem 1.4rem;list-style:none;padding:0;font-size:.8125rem}
.legend li{display:flex;align-items:center;gap:.5rem}
.chart{display:grid;grid-template-columns:5.4rem minmax(0,1fr);gap:0 .8rem;margin:.2rem 0 1rem}
.scale{display:flex;flex-direction:column;justify-content:space-between;height:68px;font-size:.75rem;text-align:right;
color:var(--muted)}.scale.high{height:158px}.scale b{order:1;color:var(--ink)}.scale span:last-child{order:2}
.dot{stroke:var(--c);stroke-width:4;stroke-linecap:round}.whisker{stroke:var(--c);stroke-width:1.2;opacity:.55}
.cross{stroke:var(--ink);stroke-width:1.2}
.dot,.whisker,.cross{fill:none;vector-effect:non-scaling-stroke}
dl.pairs{grid-template-columns:max-content minmax(0,1fr) max-content minmax(0,1fr);font-size:.9375rem}
.glance td:not(:last-child):not(:nth-child(6)),.found td:nth-child(3){white-space:nowrap}
.posts :is(td,th){min-width:6.4rem}
@media (max-width:44rem){body{padding:1.4rem 1rem 3rem}h1{font-size:1.8rem}h2{margin-top:3rem}
.timeline{grid-template-columns:6.1rem minmax(0,1fr);gap:0 .5rem}.labels li{letter-spacing:-.01em}
.labels small,.odd{display:none}
.chart{grid-template-columns:4.2rem minmax(0,1fr);gap:0 .5rem}
dl.facts,dl.pairs{grid-template-columns:minmax(0,1fr);gap:0}dl.facts dd{margin-bottom:.5rem}.draw{padding:0 .2rem}
svg text.said{font-size:10px}}
@media print{:root{--paper:#fff;--ink:#000;--muted:#444;--rule:#bbb;--wash:#fff;--up:#8796a8;--customer:#0a5ea8;
--isp:#8a6300;--transit:#00745a;--provider:#c23c0a;--carrier:#94326f;--undetermined:#5c6572;--un:#7b8796}
html{font-size:9.2pt;line-height:1.42;print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{max-width:none;padding:0}nav{display:none}h2{break-after:avoid;margin-top:2.4rem}h3,h4{break-after:avoid}
h3{margin-top:1.4rem}.box{margin:.8rem 0;padding:.6rem 1rem}
.incidents>li{margin:.6rem 0}h1{font-size:1.8rem}.lead{font-size:1.08rem;max-width:none}dl.facts{margin:.6rem 0}
th,td{padding:.25rem .9rem .25rem 0}.posts :is(td,th){min-width:5.2rem}
.timeline,.chart,.incidents>li,tr,.box,.scroll,pre,.sumup{break-inside:avoid}
table :is(td,th){white-space:normal!important}
.hash{min-width:7rem}#timelines{break-before:page}
.scroll{overflow:visible}pre{white-space:pre-wrap}details{display:none}
@page{size:A4;margin:14mm 15mm 15mm;@bottom-right{content:counter(page) " / " counter(pages);font:8pt sans-serif}}}
"""
