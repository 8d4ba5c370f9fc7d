import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseOptions } from './refused-options.ts';

const create = { templateID: 'base', timeout: 300, metadata: {} };

test('what the clients send of their own accord asks for nothing', () => {
  for (const empty of [null, undefined]) refuseOptions({ ...create, iam: empty, volumeMounts: empty, network: empty });
  refuseOptions({
    ...create,
    iam: { tokens: {} },
    volumeMounts: [],
    network: { httpsPorts: [], denyOut: ['10.0.0.1'] },
  });
});

test('an option that is not there is refused by its name', () => {
  const tokens = { aws: { audience: 'sts', tokenType: 'JWT-SVID' } };
  const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as unknown;
  for (const [body, name] of [
    [{ iam: { tokens } }, 'body/iam'],
    [{ iam: 'on' }, 'body/iam'],
    [{ iam: deep }, 'body/iam'],
    [{ volumeMounts: [{ name: 'data', path: '/data' }] }, 'body/volumeMounts'],
    [{ network: { httpsPorts: [443] } }, 'body/network/httpsPorts'],
  ] as const) {
    assert.throws(() => refuseOptions({ ...create, ...body }), {
      code: 'not_supported',
      message: `${name} is not supported by this server: leave it out`,
    });
  }
});
