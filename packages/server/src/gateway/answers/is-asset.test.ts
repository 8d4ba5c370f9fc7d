import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RequestFacts } from '../routing/request-facts.ts';
import { isAsset } from './is-asset.ts';
import { answerFor, type Refusal } from './refusal.ts';

function request(destination: string | undefined): RequestFacts {
  const header = (name: string): string | undefined => (name === 'sec-fetch-dest' ? destination : undefined);
  return { host: 'x', method: 'GET', path: () => '/', header, values: () => [] };
}

test('parts of a page are told from pages, from what programs ask for, and from nonsense', () => {
  for (const destination of ['script', 'style', 'image', 'font', 'worker', 'sharedworker', 'track', 'manifest']) {
    assert(isAsset(request(destination)), destination);
  }
  for (const destination of [undefined, '', 'empty', 'document', 'iframe', 'embed', 'object', 'Script', 'a b', '503']) {
    assert(!isAsset(request(destination)), destination);
  }
});

test('parts of a page that waits get 503 whatever it waits for, all else the status of its error', () => {
  const status = (refusal: Refusal, destination?: string): number => answerFor(refusal, request(destination)).status;
  const waitedFor: readonly (readonly [Refusal, number])[] = [
    [{ code: 'port_closed', sandboxId: 'one', port: 3000 }, 502],
    [{ code: 'sandbox_waking', sandboxId: 'one' }, 503],
    [{ code: 'url_sandbox_transitioning', sandboxId: 'one' }, 409],
  ];
  for (const [refusal, own] of waitedFor) {
    assert.deepEqual([status(refusal, 'script'), status(refusal, 'empty'), status(refusal)], [503, own, own]);
    const { headers, body } = answerFor(refusal, request('script'));
    assert(headers.some(([name, value]) => name === 'Retry-After' && value === '1'));
    assert.equal((JSON.parse(body) as { code: number }).code, 503);
  }
  assert.equal(status({ code: 'url_sandbox_not_found', sandboxId: 'one' }, 'script'), 502);
  assert.equal(status({ code: 'too_many_requests', sandboxId: 'one', limit: 1 }, 'script'), 429);
});
