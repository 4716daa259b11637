"""How every page looks: light and dark, wide and narrow, on paper."""

STYLE = """
:root { color-scheme: light dark; --page: #f4f5f7; --card: #ffffff; --ink: #1d232b;
  --soft: #5b6673; --line: #d9dee5; --accent: #1f4e8c; --alarm: #8a1f11; --alarm-card: #fdf1ee;
  --calm-card: #eef6f0; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
header, main, nav { max-width: 80rem; margin: 0 auto; padding: 0 clamp(0.75rem, 3vw, 2rem); }
header { padding-top: clamp(1rem, 4vw, 2.5rem); }
h1 { font-size: clamp(1.5rem, 5vw, 2.1rem); line-height: 1.2; margin: 0 0 0.4rem; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 0 0 0.5rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p { max-width: 46rem; margin: 0.4rem 0 0.9rem; }
.above { margin: 0 0 0.5rem; font-size: 0.94rem; }
.lead { font-size: 1.1rem; color: var(--soft); }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; list-style: none; padding: 0;
  margin: 0.8rem 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 0.6rem;
  padding: clamp(0.8rem, 3vw, 1.5rem); margin: 1rem 0; }
section > :last-child { margin-bottom: 0; }
section.alarm { background: var(--alarm-card); border-left: 0.35rem solid var(--alarm); }
section.calm { background: var(--calm-card); }
section.alarm h2 { color: var(--alarm); }
section.alarm li { margin: 0.25rem 0; overflow-wrap: anywhere; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: 0.88em;
  overflow-wrap: anywhere; }
pre { margin: 0; font-size: 0.92rem; line-height: 1.4; } pre code { overflow-wrap: normal; }
.scroll { overflow-x: auto; margin: 0.8rem 0 1.2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding-bottom: 0.35rem; max-width: 82vw; }
th, td { padding: 0.32rem 0.5rem; border-bottom: 1px solid var(--line); text-align: right;
  white-space: nowrap; font-size: 0.94rem; }
.words { text-align: left; }
th:first-child { padding-left: 0; }
.scroll th:first-child { position: sticky; left: 0; background: var(--card); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; white-space: normal;
  line-height: 1.25; max-width: 7.5rem; }
tbody th { font-weight: 600; }
.beside { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; align-items: start; }
.beside > figure { flex: 1 1 18rem; max-width: 26rem; }
.beside > .scroll { min-width: 0; }
.grid { display: grid; gap: 1.4rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.grid.broad { grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); }
figure { margin: 0; min-width: 0; break-inside: avoid; }
figcaption { font-size: 0.9rem; color: var(--soft); margin-top: 0.3rem; overflow-wrap: anywhere; }
figcaption strong { color: var(--ink); }
figcaption code { display: block; font-size: 0.8em; }
img { display: block; max-width: 100%; height: auto; }
img.dark { display: none; }
.row { display: grid; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); gap: 0.3rem; }
.row img { width: 100%; border-radius: 0.2rem; }
@media (max-width: 40rem) { tbody th { white-space: normal; max-width: 9.5rem;
  overflow-wrap: break-word; line-height: 1.25; } }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #0f1216; --card: #181c22; --ink: #e3e8ee; --soft: #9aa6b4; --line: #2d343d;
    --accent: #8fbaf0; --alarm: #ffb4a8; --alarm-card: #2b1916; --calm-card: #15231a; }
  img.light { display: none; } img.dark { display: block; } }
@media print { :root { color-scheme: light; --page: #ffffff; }
  nav { display: none; } html { font-size: 9pt; } section { border: 0; padding: 0; }
  section.alarm { padding: 0.8rem; } tr { break-inside: avoid; }
  .scroll { overflow: visible; } .scroll th:first-child { position: static; }
  pre { white-space: pre-wrap; }
  header, h2, h3, caption, thead, p:has(+ ul, + figure, + .scroll, + .grid) { break-after: avoid; }
  .grid { grid-template-columns: repeat(3, 1fr); }
  .grid.broad { grid-template-columns: repeat(2, 1fr); } }
"""
