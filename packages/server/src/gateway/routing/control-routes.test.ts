import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TUNNEL_PATH } from '@sandport/protocol/loopback-tunnel';
import fc from 'fast-check';
import { spellings } from '../testing/spellings.ts';
import { isControlRoute } from './control-routes.ts';

const ROUTES = ['/init', '/freeze', '/unfreeze', '/collapse', '/fsfreeze', '/fsthaw', '/upgrade', TUNNEL_PATH];

test('a control route is known in every spelling', () => {
  for (const route of ROUTES) {
    fc.assert(
      fc.property(spellings(route), (target) => {
        assert.ok(isControlRoute(target), target);
      }),
      { numRuns: 300 },
    );
  }
});

test('whatever the agent itself would take for a control route is one', () => {
  // The agent decodes nothing: it compares what stands before the first question mark.
  fc.assert(
    fc.property(fc.constantFrom(...ROUTES), fc.webQueryParameters(), (route, query) => {
      assert.ok(isControlRoute(route));
      assert.ok(isControlRoute(`${route}?${query}`));
    }),
  );
});

test('other paths are none, however near they come', () => {
  for (const target of [
    '/',
    '',
    '?',
    '/health',
    '/files',
    '/files?path=/init',
    '/initial',
    '/in',
    '/in/it',
    '/x/init',
    '/init/x',
    '/init%00',
    '/init;x',
    '/init%3fx',
    '/%2569nit',
    '/process.Process/Start',
    '/..',
    '/%',
    '/%zz',
    '/tunnels',
  ]) {
    assert.equal(isControlRoute(target), false, target);
  }
});

test('a target of any characters is judged, also one of many detours', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (target) => typeof isControlRoute(target) === 'boolean'));
  assert.ok(isControlRoute(`${'/x/..'.repeat(20_000)}/init`));
});
