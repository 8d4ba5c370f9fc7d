import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { test } from 'node:test';
import type { Refusal } from '../refusal.ts';
import type { RenderedPage } from './layout.ts';
import { pageFor } from './pages.ts';

const sandboxId = 'i0123456789abcdefghij';
const refusals: readonly Refusal[] = [
  { code: 'invalid_host', reason: 'host' },
  { code: 'invalid_sandbox_port' },
  { code: 'upstream_failed' },
  { code: 'url_sandbox_not_found', sandboxId },
  { code: 'url_sandbox_paused', sandboxId },
  { code: 'url_sandbox_transitioning', sandboxId },
  { code: 'url_too_many_sandboxes', sandboxId },
  { code: 'url_machine_full', sandboxId },
  { code: 'url_wake_failed', sandboxId },
  { code: 'wake_denied', sandboxId },
  { code: 'sandbox_waking', sandboxId },
  { code: 'port_closed', sandboxId, port: 3000 },
  { code: 'traffic_token_missing', sandboxId, signIn: true },
  { code: 'traffic_token_invalid', sandboxId, signIn: false },
  { code: 'signed_url_invalid', sandboxId },
  { code: 'too_many_connections', sandboxId, limit: 7 },
  { code: 'too_many_requests', sandboxId, limit: 7 },
  { code: 'too_many_client_connections', limit: 7 },
  { code: 'reserved_path', path: '/"><script>alert(1)</script>' },
];

function page(refusal: Refusal): RenderedPage {
  const rendered = pageFor(refusal);
  assert(rendered !== undefined, refusal.code);
  return rendered;
}

test('every page says in one heading what happened, in a language that it names, on a screen of any size', () => {
  for (const refusal of refusals) {
    const { html } = page(refusal);
    assert.match(html, /^<html lang="en"><head><meta charset="utf-8">/, refusal.code);
    assert.match(html, /<meta name="viewport" content="width=device-width,initial-scale=1">/);
    assert.match(html, /<title>[^<]+<\/title>/);
    assert.equal(html.match(/<h1>[^<]+<\/h1>/g)?.length, 1, refusal.code);
    assert.equal(html.match(/<main>/g)?.length, 1);
    // What changes by itself is told to who does not see it; what only moves is not.
    assert.match(html, /role="status"/);
    for (const [input] of html.matchAll(/<input [^>]*>/g)) {
      const id = / id="([^"]+)"/.exec(input)?.[1];
      assert(html.includes(`<label for="${id}">`), input);
    }
  }
});

test('every page uses nothing from elsewhere, and its policy lets nothing else run', () => {
  for (const refusal of refusals) {
    const { html, headers } = page(refusal);
    assert.doesNotMatch(html, / src=| href=|url\(|@import|https?:/, refusal.code);
    assert.doesNotMatch(html, / on[a-z]+=| style=/);
    const policy = headers.find(([name]) => name === 'Content-Security-Policy')![1];
    assert.match(policy, /^default-src 'none';/);
    for (const [, kind, text] of html.matchAll(/<(style|script)>(.*?)<\/\1>/gs)) {
      assert(policy.includes(`${kind}-src 'sha256-${hash('sha256', text!, 'base64')}'`), `${refusal.code}: ${kind}`);
    }
  }
  assert.doesNotMatch(page(refusals.at(-1)!).html, /<script/, 'what came from outside is text');
});

test('text can be read in light and in dark (WCAG 2.2, 1.4.3)', () => {
  const { html } = page(refusals[0]!);
  const blocks = [...html.matchAll(/:root\{([^}]*)\}/g)].map(([, block]) => block!);
  assert.equal(blocks.length, 2);
  for (const block of blocks) {
    const colour = (name: string): string => {
      const value = new RegExp(`--${name}:#([0-9a-f]+)`).exec(block)?.[1];
      assert(value !== undefined, name);
      return value.length === 3 ? [...value].map((digit) => digit + digit).join('') : value;
    };
    for (const [text, ground] of [
      ['ink', 'card'],
      ['quiet', 'card'],
      ['mark', 'card'],
      ['act-ink', 'act'],
      ['ink', 'field'],
    ] as const) {
      const contrast = ratio(luminance(colour(text)), luminance(colour(ground)));
      assert(contrast >= 4.5, `${text} on ${ground}: ${contrast.toFixed(2)} in ${block}`);
    }
  }
});

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red, green, blue] = [0, 2, 4].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function ratio(one: number, other: number): number {
  return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
}
