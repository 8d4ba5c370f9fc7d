import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { ConnectionConfig } from './connection-config.ts';
import { AuthenticationError, InvalidArgumentError } from './errors.ts';

const before = { ...process.env };
afterEach(() => {
  process.env = { ...before };
});

function environment(variables: Record<string, string>): void {
  for (const name of Object.keys(process.env)) if (/^(?:E2B|SANDPORT)_/.test(name)) delete process.env[name];
  Object.assign(process.env, variables);
}

test('options win over SANDPORT_ variables, and those over E2B_ ones', () => {
  environment({ E2B_DOMAIN: 'e2b.test', E2B_API_KEY: 'e2b_0', E2B_API_URL: 'https://e2b-api.test' });
  assert.equal(new ConnectionConfig().domain, 'e2b.test');
  assert.equal(new ConnectionConfig().apiUrl, 'https://e2b-api.test');
  Object.assign(process.env, { SANDPORT_DOMAIN: 'own.test', SANDPORT_API_KEY: 'own', SANDPORT_API_URL: 'https://o' });
  const own = new ConnectionConfig();
  assert.deepEqual([own.domain, own.apiKey, own.apiUrl], ['own.test', 'own', 'https://o']);
  const given = new ConnectionConfig({ domain: 'given.test', apiKey: 'given', apiUrl: 'http://given/' });
  assert.deepEqual([given.domain, given.apiKey, given.apiUrl], ['given.test', 'given', 'http://given']);
});

test('without anything it is the server that "npm start" runs on this machine', () => {
  environment({});
  const config = new ConnectionConfig();
  assert.equal(config.domain, 'sandport.localhost:8443');
  assert.equal(config.apiUrl, 'https://api.sandport.localhost:8443');
  assert.equal(config.sandboxUrl, undefined);
  assert.equal(config.requestTimeoutMs, 60_000);
  assert.throws(() => config.apiKey, AuthenticationError);
});

test('empty strings count as absent', () => {
  environment({ SANDPORT_DOMAIN: '', E2B_DOMAIN: 'e2b.test', E2B_API_KEY: '' });
  assert.equal(new ConnectionConfig({ domain: '' }).domain, 'e2b.test');
  assert.throws(() => new ConnectionConfig({ apiKey: '' }).apiKey, AuthenticationError);
});

test('a runtime without "process", such as a browser, is no obstacle', (context) => {
  const { process: own } = globalThis;
  context.after(() => Object.assign(globalThis, { process: own }));
  Reflect.deleteProperty(globalThis, 'process');
  try {
    assert.equal(new ConnectionConfig({ apiKey: 'a' }).domain, 'sandport.localhost:8443');
  } finally {
    Object.assign(globalThis, { process: own });
  }
});

test('what cannot be right is refused with its value', () => {
  assert.throws(() => new ConnectionConfig({ requestTimeoutMs: -1 }), /requestTimeoutMs is -1/);
  assert.throws(() => new ConnectionConfig({ requestTimeoutMs: Number.NaN }), InvalidArgumentError);
  assert.throws(() => new ConnectionConfig({ apiUrl: 'api.example.com' }), /apiUrl is "api.example.com"/);
  assert.throws(() => new ConnectionConfig({ sandboxUrl: 'ftp://x' }), /sandboxUrl/);
});

test('0 means no time limit; a limit and a signal both end a request', () => {
  const config = new ConnectionConfig({ requestTimeoutMs: 0 });
  assert.equal(config.requestSignal(), undefined);
  const caller = new AbortController();
  assert.equal(config.requestSignal(0, caller.signal), caller.signal);
  const both = config.requestSignal(60_000, caller.signal);
  caller.abort();
  assert.equal(both?.aborted, true);
});

test('options of one call win over those of the object, unless they are undefined', () => {
  const config = new ConnectionConfig({ apiKey: 'a', domain: 'd.test', requestTimeoutMs: 5 });
  const merged = config.with({ requestTimeoutMs: undefined, domain: 'other.test' });
  assert.deepEqual([merged.apiKey, merged.domain, merged.requestTimeoutMs], ['a', 'other.test', 5]);
});

test('a limit in fractions of a millisecond is one; a limit of months is none, not one that has passed', async () => {
  const signal = new ConnectionConfig({ requestTimeoutMs: 0.5 }).requestSignal()!;
  await new Promise((resolve) => signal.addEventListener('abort', resolve));
  assert.equal((signal.reason as DOMException).name, 'TimeoutError');
  for (const months of [2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
    assert.equal(new ConnectionConfig({ requestTimeoutMs: months }).requestSignal(), undefined);
  }
});
