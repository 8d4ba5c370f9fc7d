// API keys for others: made and revoked with the machine's own, each with a limit.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { RateLimitError, Sandbox } from 'e2b';
import { SandportServer } from '../support/sandport-server.ts';

interface Key {
  readonly id: string;
  readonly key?: string;
  readonly name: string;
}

describe('API keys', () => {
  let server: SandportServer;

  before(async () => {
    server = await SandportServer.start('runc', ['--warm', '0', '--max-snapshots', '0']);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  async function call(method: string, path: string, body?: object, key = server.connection.apiKey) {
    const response = await fetch(`${server.connection.apiUrl}${path}`, {
      method,
      headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, answer: text === '' ? undefined : (JSON.parse(text) as unknown) };
  }

  test('a key has as many sandboxes as it may have, and others are not touched by that', async () => {
    const { status, answer } = await call('POST', '/api-keys', { name: 'guest', maxSandboxes: 1 });
    assert.equal(status, 201);
    const { key, id } = answer as Key;
    const guest = { ...server.options, apiKey: key! };
    const first = await Sandbox.create({ ...guest, retries: 0 } as object);
    await assert.rejects(Sandbox.create({ ...guest, retries: 0 } as object), (error: Error) => {
      assert(error instanceof RateLimitError, error.name);
      assert.match(error.message, /maximum number of concurrent sandboxes of this API key \(1\)/);
      return true;
    });
    const own = await Sandbox.create(server.options);
    // A paused one does not count, and is not resumed beyond the limit.
    await first.pause({ keepMemory: false });
    const second = await Sandbox.create(guest);
    await assert.rejects(first.connect(), /of this API key \(1\)/);
    await second.kill();
    await first.connect();
    assert.equal((await first.commands.run('echo here')).stdout, 'here\n');

    assert.equal((await call('DELETE', `/api-keys/${id}`)).status, 204);
    await assert.rejects(Sandbox.create(guest), /API key/);
    assert.equal((await first.commands.run('echo here')).stdout, 'here\n', 'what it made goes on');
    assert.equal(await Sandbox.kill(first.sandboxId, server.options), true);
    await own.kill();
  });

  test('keys are listed without what is secret, and managed with the key of the machine only', async () => {
    const made = (await call('POST', '/api-keys', { name: 'another' })).answer as Key;
    const list = await call('GET', '/api-keys');
    assert.deepEqual(
      (list.answer as Key[]).map(({ name }) => name),
      ['this machine', 'another'],
    );
    assert(!JSON.stringify(list.answer).includes(made.key!.slice(4, -4)));
    for (const [method, path, body] of [
      ['GET', '/api-keys'],
      ['POST', '/api-keys', { name: 'x' }],
      ['DELETE', `/api-keys/${made.id}`],
    ] as const) {
      assert.equal((await call(method, path, body, made.key)).status, 403, method);
    }
    assert.equal((await call('GET', '/v2/sandboxes', undefined, made.key)).status, 200);
    const own = (list.answer as Key[])[0]!.id;
    assert.equal((await call('DELETE', `/api-keys/${own}`)).status, 400);
    assert.equal((await call('DELETE', '/api-keys/none')).status, 404);
    for (const body of [{}, { name: '' }, { name: 'x', maxSandboxes: -1 }, { name: 'x', maxSandboxes: 1.5 }]) {
      assert.equal((await call('POST', '/api-keys', body)).status, 400, JSON.stringify(body));
    }
    assert(!server.log().includes(made.key!));
  });
});
