// The official client's less used methods, and what it makes of methods that the server does not offer.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { FileNotFoundError, Sandbox, SandboxNotFoundError } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

describe('compatibility', () => {
  let server: SandportServer;
  let sandbox: Sandbox;
  let id: string;

  before(async () => {
    // What is tested here does not depend on the runtime; the faster one is enough.
    server = await SandportServer.start(runtimes.at(-1)!);
    sandbox = await Sandbox.create(server.options);
    id = sandbox.sandboxId;
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  test('a sandbox is asked about and changed by its ID', async () => {
    await Sandbox.setTimeout(id, 600_000, server.options);
    const { sandboxId, endAt } = await Sandbox.getInfo(id, server.options);
    assert.equal(sandboxId, id);
    assert(Math.abs(endAt.getTime() - Date.now() - 600_000) < 30_000);
    const full = await Sandbox.getFullInfo(id, server.options);
    assert.deepEqual([full.sandboxId, full.state], [id, 'running']);
    await Sandbox.updateNetwork(id, { denyOut: ['192.0.2.0/24'] }, server.options);
    assert.deepEqual((await Sandbox.getInfo(id, server.options)).network?.denyOut, ['192.0.2.0/24']);
  });

  test('a second connect moves the end', async () => {
    await sandbox.connect({ timeoutMs: 1_200_000 });
    assert((await sandbox.getInfo()).endAt.getTime() > Date.now() + 1_000_000);
  });

  test('stdin is closed by process ID', async () => {
    const handle = await sandbox.commands.run('wc -c', { background: true, stdin: true });
    await sandbox.commands.sendStdin(handle.pid, 'four');
    await sandbox.commands.closeStdin(handle.pid);
    assert.equal((await handle.wait()).stdout, '4\n');
  });

  test('a template with an MCP gateway is not offered, and nothing hangs', async () => {
    await assert.rejects(sandbox.getMcpToken(), FileNotFoundError);
    await assert.rejects(Sandbox.create({ ...server.options, mcp: { time: {} } }), /template 'mcp-gateway' not found/);
    assert.equal(await sandbox.isRunning(), true, 'the sandbox is as before');
  });

  test('options that are not offered are refused by the server, and none is created', async () => {
    const iam = { tokens: { aws: { audience: 'sts.example.com', tokenType: 'JWT-SVID' } } };
    for (const [options, name] of [
      [{ iam }, /body\/iam is not supported/],
      [{ volumeMounts: { '/data': 'data' } }, /body\/volumeMounts is not supported/],
      [{ network: { httpsPorts: [443] } }, /body\/network\/httpsPorts is not supported/],
    ] as const) {
      await assert.rejects(Sandbox.create({ ...server.options, ...(options as object) }), name);
    }
    assert.equal((await Sandbox.list(server.options).nextItems()).length, 1);
    const other = await Sandbox.create({ ...server.options, iam: { tokens: {} }, volumeMounts: {} });
    await other.kill();
  });

  test('a sandbox is killed by its ID', async () => {
    const other = await Sandbox.create(server.options);
    assert.equal(await Sandbox.kill(other.sandboxId, server.options), true);
    assert.equal(await Sandbox.kill(other.sandboxId, server.options), false);
    await assert.rejects(Sandbox.getInfo(other.sandboxId, server.options), SandboxNotFoundError);
  });
});
