// How the widget looks. A sheet made by script is allowed under any Content-Security-Policy.

const CSS = `
:host { display: inline-block; max-width: 100%; vertical-align: top; text-align: start;
  text-indent: 0; text-transform: none; white-space: normal;
  --paper: #fff; --ink: #1c2330; --faint: #5b6474; --rule: #8b94a3; --soft: #eef1f6; --accent: #1d4ed8; --on-accent: #fff;
  --good: #15693a; --bad: #b3261e; --page: #fff; color-scheme: light; }
:host([hidden]) { display: none; }
:host(.dark) { --paper: #1b212c; --ink: #eef1f6; --faint: #b3bccb; --rule: #7d8798; --soft: #2a3240; --accent: #9db8ff;
  --on-accent: #10151d; --good: #7fdca4; --bad: #ffb4ab; color-scheme: dark; }
:host(.contrast) { --paper: #000; --ink: #fff; --faint: #fff; --rule: #fff; --soft: #000; --accent: #ff0; --on-accent: #000;
  --good: #0f0; --bad: #ff9d9d; color-scheme: dark; }
* { box-sizing: border-box; font: inherit; letter-spacing: inherit; }
.box { width: 20rem; max-width: 100%; padding: .75rem; border: 1px solid var(--rule); border-radius: .6rem; background: var(--paper);
  color: var(--ink); font: 400 1rem/1.4 system-ui, sans-serif; overflow-wrap: anywhere; }
:host(.compact) .box { width: 13rem; padding: .5rem; font-size: .9rem; }
:host(.flexible), :host(.flexible) .box { width: 100%; }
:host(.flexible) { display: block; }
dialog { margin: auto; padding: 0; border: 0; border-radius: .7rem; background: none; max-width: calc(100vw - 1rem); max-height: calc(100vh - 1rem); }
dialog::backdrop { background: rgb(16 21 29 / .6); }
button { min-height: 2.5rem; min-width: 2.5rem; padding: .25rem .6rem; border: 1px solid var(--rule); border-radius: .4rem;
  background: var(--paper); color: var(--ink); cursor: pointer; }
button:hover { background: var(--soft); }
button:disabled, .open:not(.spin)[aria-disabled] { opacity: .55; cursor: default; }
.main { border-color: var(--accent); background: var(--accent); color: var(--on-accent); font-weight: 600; }
.main:hover { background: var(--accent); text-decoration: underline; }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.open { display: flex; gap: .75rem; align-items: center; width: 100%; text-align: start; border: 0; padding: .15rem; font-weight: 600; }
.open:hover { background: none; text-decoration: underline; }
.tick { flex: none; width: 1.75rem; height: 1.75rem; border: 2px solid var(--rule); border-radius: .35rem; }
.spin .tick { border-radius: 50%; border-color: var(--soft); border-block-start-color: var(--accent); animation: turn 1s linear infinite; }
.solved .tick { border-color: var(--good); color: var(--good); }
.tick path { fill: none; stroke: currentColor; stroke-width: 3; stroke-linecap: round; stroke-linejoin: round; }
.solved { display: flex; gap: .75rem; align-items: center; font-weight: 600; margin: 0; padding: .15rem; min-height: 2.5rem; }
@keyframes turn { to { transform: rotate(1turn); } }
.picture { display: block; width: 100%; height: auto; min-height: 3rem; border-radius: .35rem; background: var(--page); }
label { display: block; margin: .6rem 0 .25rem; }
.row { display: flex; flex-wrap: wrap; gap: .5rem; }
.row .main { flex: 1 0 auto; }
.field { position: relative; flex: 999 1 9rem; min-width: 0; }
input { width: 100%; min-height: 2.5rem; padding: .25rem 4.2rem .25rem .5rem; border: 1px solid var(--rule); border-radius: .4rem;
  background: var(--paper); color: var(--ink); font-size: 1.15em; letter-spacing: .12em; }
.tools { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem; margin-top: .5rem; }
.tools button { display: inline-flex; align-items: center; justify-content: center; padding: .2rem; }
.tools .wide { padding: .2rem .6rem; }
.tools svg { width: 1.3rem; height: 1.3rem; fill: none; stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.count { position: absolute; inset: 0 .6rem 0 auto; display: flex; align-items: center; pointer-events: none;
  color: var(--faint); font-size: .85em; font-variant-numeric: tabular-nums; }
.said { margin: .5rem 0 0; min-height: 1.4em; color: var(--faint); font-size: .9em; }
.said:empty { margin: 0; min-height: 0; }
.said.bad { color: var(--bad); }
.test { font-size: .9em; margin: 0 0 .5rem; padding: .25rem .5rem; border: 2px solid var(--bad); border-radius: .35rem; color: var(--bad); font-weight: 700; }
[hidden] { display: none !important; }
@media (prefers-reduced-motion: reduce) { .spin .tick { animation: none; } }
@media (forced-colors: active) { .main { border: 2px solid ButtonText; } .solved .tick { color: CanvasText; } .picture { forced-color-adjust: none; } }
`;

export const sheet = new CSSStyleSheet();
sheet.replaceSync(CSS);
