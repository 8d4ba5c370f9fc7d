import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wantsHtml } from './wants-html.ts';

const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/150';

function asks(headers: Record<string, string>): boolean {
  const all: Record<string, string> = { 'user-agent': BROWSER, ...headers };
  return wantsHtml({
    host: 'x',
    method: 'GET',
    path: () => '/',
    header: (name) => all[name],
    values: (name) => (all[name] === undefined ? [] : [all[name]]),
  });
}

test('people get pages: who opens an address, with or without fetch metadata', () => {
  assert(asks({}));
  assert(asks({ accept: '*/*' }));
  assert(asks({ accept: 'text/html,application/xhtml+xml,*/*;q=0.8', 'sec-fetch-mode': 'navigate' }));
  assert(asks({ accept: 'text/html,application/json' }));
  assert(asks({ 'sec-fetch-mode': 'navigate', 'x-requested-with': 'x' }));
});

test('programs, scripts, pictures and styles do not', () => {
  for (const headers of [
    { 'user-agent': 'curl/8' },
    { 'user-agent': 'node' },
    { accept: 'application/json' },
    { 'sec-fetch-mode': 'cors', accept: 'text/html' },
    { 'sec-fetch-mode': 'no-cors' },
    { 'sec-fetch-mode': 'same-origin' },
    { 'sec-fetch-mode': 'websocket' },
    { 'x-requested-with': 'XMLHttpRequest' },
    { accept: 'image/avif,image/webp,image/*,*/*;q=0.8' },
    { accept: 'text/css,*/*;q=0.1' },
    { accept: 'text/event-stream' },
  ]) {
    assert(!asks(headers), JSON.stringify(headers));
  }
});
