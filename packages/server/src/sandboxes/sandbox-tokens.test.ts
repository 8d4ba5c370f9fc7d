import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandboxTokens, sha256Hex } from './sandbox-tokens.ts';

const seed = new Uint8Array(32).fill(7);

function all(tokens: SandboxTokens, id: string): string[] {
  return [tokens.agentAccess(id), tokens.trafficAccess(id), tokens.agentControl(id)];
}

test('tokens are the same after a restart with the same secret', () => {
  assert.deepEqual(all(new SandboxTokens(seed), 'i1'), all(new SandboxTokens(Uint8Array.from(seed)), 'i1'));
});

test('each purpose, each sandbox and each machine has tokens of its own', () => {
  const other = new SandboxTokens(new Uint8Array(32).fill(8));
  const tokens = new SandboxTokens(seed);
  const every = [...all(tokens, 'i1'), ...all(tokens, 'i2'), ...all(other, 'i1')];
  assert.equal(new Set(every).size, 9);
  for (const token of every) assert.match(token, /^[0-9a-f]{64}$/);
});

test('keys of passes belong to one sandbox, and those of signed URLs to one generation of them', () => {
  const tokens = new SandboxTokens(seed);
  const keys = [tokens.passKeys('i1', 0), tokens.passKeys('i1', 1), tokens.passKeys('i2', 0)].map(
    ({ session, url }) => [session.toString('hex'), url.toString('hex')],
  );
  assert.deepEqual([keys[0]![0], new Set(keys.flat()).size], [keys[1]![0], 5]);
  for (const key of keys.flat()) assert.match(key, /^[0-9a-f]{64}$/);
});

test('a digest is SHA-256 in hex', () => {
  assert.equal(sha256Hex('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});
