import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postWebhook } from './post-webhook.ts';
import { WebhookAddresses } from './webhook-address.ts';

test('a host whose look-up does not end costs a delivery its time and no more', async () => {
  const addresses = new WebhookAddresses([], () => new Promise<never>(() => {}));
  const { signal } = new AbortController();
  const delivery = postWebhook('https://hooks.example.com/', {
    headers: {},
    body: '',
    addresses,
    signal,
    timeoutMs: 10,
  });
  await assert.rejects(delivery, { name: 'TimeoutError' });
});
