// The frame of every page: one document without outside resources, readable in light and dark and by a screen reader.

import { hash } from 'node:crypto';
import type { PageScript } from './scripts.ts';

/** Makes `text` safe inside an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--ground:#f4f5f8;--card:#fff;--ink:#172033;--quiet:#4c576b;--line:#dce0e8;--mark:#a34a06;
--act:#1f4fd8;--act-ink:#fff;--field:#fff;--shadow:0 1px 2px rgb(16 24 40/.05),0 12px 32px -12px rgb(16 24 40/.14)}
@media(prefers-color-scheme:dark){
:root{--ground:#0f131a;--card:#181e28;--ink:#e9edf4;--quiet:#a6b0c0;--line:#2c3543;--mark:#f2a65e;
--act:#7ea2ff;--act-ink:#0b1220;--field:#0f131a;--shadow:none}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--ground);color:var(--ink);
font:16px/1.6 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:540px;background:var(--card);border:1px solid var(--line);border-radius:16px;padding:36px;
box-shadow:var(--shadow)}
.status{display:flex;align-items:center;gap:10px;margin:0 0 10px;color:var(--mark);font-weight:600;font-size:14px}
.spinner{width:15px;height:15px;border-radius:50%;border:2px solid var(--line);border-top-color:var(--mark);
animation:turn .9s linear infinite;flex:none}
@keyframes turn{to{transform:rotate(1turn)}}
@media(prefers-reduced-motion:reduce){.spinner{animation:none;border-color:var(--mark)}}
h1{margin:0 0 12px;font-size:25px;font-weight:650;line-height:1.25;letter-spacing:-.012em;text-wrap:balance}
p{margin:0 0 14px;color:var(--quiet)}
p strong{color:var(--ink);font-weight:600}
label{display:block;margin:22px 0 6px;font-weight:600;font-size:14px}
.row{display:flex;gap:10px;flex-wrap:wrap}
input,button{font:inherit;color:inherit;border-radius:9px;padding:10px 13px;border:1px solid var(--quiet);min-height:46px}
input{flex:1 1 220px;min-width:0;background:var(--field)}
button{flex:0 0 auto;background:var(--act);border-color:var(--act);color:var(--act-ink);font-weight:600;cursor:pointer}
button:disabled{opacity:.6;cursor:default}
input:focus-visible,button:focus-visible{outline:3px solid var(--act);outline-offset:2px}
.note{min-height:1.6em;margin:10px 0 0;font-size:14px;color:var(--mark)}
dl{display:grid;grid-template-columns:auto 1fr;gap:6px 18px;margin:24px 0 0;padding-top:20px;
border-top:1px solid var(--line);font-size:14px}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
code,dd{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px}
@media(max-width:460px){main{padding:26px 22px}h1{font-size:22px}button{flex:1 1 100%}}
`.replaceAll('\n', '');

export interface Page {
  /** The words that the clients' own server has in the title. */
  readonly title: string;
  /** What a person reads first. */
  readonly heading: string;
  readonly status: number;
  /** Paragraphs of HTML, already escaped. */
  readonly paragraphs: readonly string[];
  /** Facts under the text: name and value. */
  readonly facts: readonly (readonly [string, string])[];
  readonly script?: PageScript;
}

export interface RenderedPage {
  readonly html: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export function renderPage(page: Page): RenderedPage {
  const { script } = page;
  const facts = page.facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  const status = script?.status ?? `Error ${page.status}`;
  const html = [
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">',
    script?.withoutScript ?? '',
    `<title>${escapeHtml(page.title)}</title><style>${STYLE}</style></head>`,
    `<body><main><p class="status" role="status">${script?.spins ? '<span class="spinner" aria-hidden="true"></span>' : ''}`,
    `<span>${escapeHtml(status)}</span></p><h1>${escapeHtml(page.heading)}</h1>`,
    ...page.paragraphs.map((paragraph) => `<p>${paragraph}</p>`),
    script?.markup ?? '',
    facts === '' ? '' : `<dl>${facts}</dl>`,
    '</main>',
    script === undefined ? '' : `<script>${script.text}</script>`,
    '</body></html>',
  ].join('');
  return { html, headers: script === undefined ? PLAIN_HEADERS : headersFor(script.text) };
}

/** Nothing that came into the page from outside could run, load or send anything. */
function headersFor(script: string | undefined): RenderedPage['headers'] {
  const scripts = script === undefined ? '' : `; script-src '${sourceHash(script)}'; connect-src 'self'`;
  const policy = `default-src 'none'; style-src '${sourceHash(STYLE)}'${scripts}; base-uri 'none'; form-action 'none'`;
  return [
    ['Content-Security-Policy', policy],
    ['Cache-Control', 'no-store'],
    ['Referrer-Policy', 'no-referrer'],
  ];
}

const PLAIN_HEADERS = headersFor(undefined);

function sourceHash(text: string): string {
  return `sha256-${hash('sha256', text, 'base64')}`;
}
