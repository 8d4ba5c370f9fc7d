// What sandboxes use, as both clients and the API tell it, under each runtime.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as e2b from 'e2b';
import * as sandport from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const MIB = 1024 * 1024;

for (const runtime of runtimes) {
  describe(`metrics under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: e2b.Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime, ['--memory', '512', '--disk', '256', '--cpus', '1']);
      sandbox = await e2b.Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('a sandbox has metrics at once, with its limits', async () => {
      const [metrics] = await sandbox.getMetrics();
      assert(metrics !== undefined);
      assert.deepEqual([metrics.cpuCount, metrics.memTotal, metrics.diskTotal], [1, 512 * MIB, 256 * MIB]);
      assert(metrics.memUsed > MIB && metrics.memUsed < metrics.memTotal, `${metrics.memUsed} bytes`);
      assert(Math.abs(metrics.timestamp.getTime() - Date.now()) < 60_000);
    });

    test('work, memory and files are seen', async () => {
      const [before] = await sandbox.getMetrics();
      const command = await sandbox.commands.run(
        `exec python3 -c '
data = bytearray(100 << 20)
data[::4096] = b"x" * len(data[::4096])
open("file", "wb").write(bytes(40 << 20))
while True: pass'`,
        { background: true },
      );
      const seen = await waitFor('a busy sample', async () => {
        const last = (await sandbox.getMetrics()).at(-1)!;
        const grown = last.memUsed - before!.memUsed > 80 * MIB && last.diskUsed - before!.diskUsed > 30 * MIB;
        return last.cpuUsedPct > 10 && grown ? last : undefined;
      });
      assert(seen.cpuUsedPct <= 100);
      await command.kill();
    });

    test('samples are chosen by time, and come by the static methods and our client too', async () => {
      const all = await e2b.Sandbox.getMetrics(sandbox.sandboxId, server.options);
      const ours = await (await sandport.Sandbox.connect(sandbox.sandboxId, server.options)).getMetrics();
      assert.deepEqual(ours.slice(0, all.length), all);
      const times = all.map(({ timestamp }) => timestamp.getTime());
      assert.deepEqual(times, times.toSorted());
      const past = new Date(Date.now() - 3_600_000);
      assert.deepEqual(await sandport.Sandbox.getMetrics(sandbox.sandboxId, { ...server.options, end: past }), []);
      assert.equal(
        (await sandport.Sandbox.getMetrics(sandbox.sandboxId, { ...server.options, start: past })).length > 0,
        true,
      );
    });

    test('several are asked for at once, and bad questions are refused', async () => {
      const other = await e2b.Sandbox.create(server.options);
      const ask = async (path: string) => {
        const response = await fetch(`${server.connection.apiUrl}${path}`, {
          headers: { 'x-api-key': server.connection.apiKey },
        });
        return {
          status: response.status,
          body: (await response.json()) as { sandboxes?: Record<string, { memUsed: number }> },
        };
      };
      const unknown = 'i'.padEnd(21, 'x');
      const { body } = await ask(`/sandboxes/metrics?sandbox_ids=${sandbox.sandboxId},${other.sandboxId},${unknown}`);
      assert.deepEqual(Object.keys(body.sandboxes!).sort(), [sandbox.sandboxId, other.sandboxId].sort());
      assert(body.sandboxes![other.sandboxId]!.memUsed > 0);
      assert.equal((await ask('/sandboxes/metrics')).status, 400);
      assert.equal((await ask('/sandboxes/metrics?sandbox_ids=UPPER')).status, 400);
      assert.equal((await ask(`/sandboxes/${sandbox.sandboxId}/metrics?start=soon`)).status, 400);
      assert.equal((await ask(`/sandboxes/${sandbox.sandboxId}/metrics?start=2&end=1`)).status, 400);
      await assert.rejects(e2b.Sandbox.getMetrics(unknown, server.options), e2b.SandboxNotFoundError);
      await other.kill();
    });
  });
}
