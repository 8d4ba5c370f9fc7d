// The frame of every page: one document without outside resources, readable in light and dark and by a screen reader.

/** Makes `text` safe inside an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

const STYLE = `
:root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#1b2330;--quiet:#566072;--line:#dde1e8;--mark:#b4540a}
@media(prefers-color-scheme:dark){
:root{--ground:#12161d;--card:#1a202a;--ink:#e9edf3;--quiet:#a3adbd;--line:#2d3644;--mark:#f0a35c}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:24px;background:var(--ground);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{width:100%;max-width:560px;background:var(--card);border:1px solid var(--line);border-radius:14px;padding:36px}
.status{margin:0 0 8px;color:var(--mark);font-weight:600;font-size:14px}
h1{margin:0 0 12px;font-size:26px;line-height:1.25;letter-spacing:-.01em}
p{margin:0 0 14px;color:var(--quiet)}
p strong{color:var(--ink)}
dl{display:grid;grid-template-columns:auto 1fr;gap:6px 18px;margin:22px 0 0;padding-top:20px;
border-top:1px solid var(--line);font-size:14px}
dt{color:var(--quiet)}
dd{margin:0;overflow-wrap:anywhere}
code,dd{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:14px}
`.replaceAll('\n', '');

export interface Page {
  readonly title: string;
  readonly status: number;
  /** Paragraphs of HTML, already escaped. */
  readonly paragraphs: readonly string[];
  /** Facts under the text: name and value. */
  readonly facts: readonly (readonly [string, string])[];
}

export function renderPage(page: Page): string {
  const title = escapeHtml(page.title);
  const facts = page.facts.map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`).join('');
  return [
    '<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">',
    `<title>${title}</title><style>${STYLE}</style></head>`,
    `<body><main><p class="status">Error ${page.status}</p><h1>${title}</h1>`,
    ...page.paragraphs.map((paragraph) => `<p>${paragraph}</p>`),
    facts === '' ? '' : `<dl>${facts}</dl>`,
    '</main></body></html>',
  ].join('');
}
