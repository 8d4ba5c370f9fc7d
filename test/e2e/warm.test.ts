// Sandboxes that are started ahead of time, under each runtime.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

interface LogLine {
  readonly msg: string;
  readonly sandboxId?: string;
  readonly warm?: boolean;
}

for (const runtime of runtimes) {
  describe(`sandboxes started ahead of time under ${runtime}`, () => {
    let server: SandportServer;

    before(async () => {
      server = await SandportServer.start(runtime, ['--warm', '2']);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    /** Containers, each of them one sandbox's or nobody's yet. */
    function containers(): string[] {
      return readdirSync(join(server.data, 'bundles')).filter((name) => hasPid(name));
    }

    function hasPid(name: string): boolean {
      return pidOf(name) !== undefined;
    }

    function pidOf(name: string): number | undefined {
      try {
        return Number(readFileSync(join(server.data, 'bundles', name, 'pid'), 'utf8')) || undefined;
      } catch {
        return undefined;
      }
    }

    function wasWarm({ sandboxId }: Sandbox): boolean | undefined {
      const lines = readFileSync(join(server.data, 'logs/server.log'), 'utf8').trim().split('\n');
      const events = lines.map((line) => JSON.parse(line) as LogLine);
      return events.find((event) => event.msg === 'sandbox started' && event.sandboxId === sandboxId)?.warm;
    }

    test('one is handed over, with an identity of its own, and another takes its place', async () => {
      await waitFor('two are started', () => containers().length === 2);
      const ahead = containers();
      const sandboxes = await Promise.all(
        ['red', 'green'].map((colour) => Sandbox.create({ ...server.options, envs: { COLOUR: colour } })),
      );
      assert.deepEqual(sandboxes.map(wasWarm), [true, true]);
      const seen = await Promise.all(
        sandboxes.map(async ({ commands }) => {
          const { stdout } = await commands.run('echo $COLOUR $E2B_SANDBOX_ID; cat /etc/machine-id; ls -A ~ /tmp');
          return stdout.split('\n');
        }),
      );
      assert.deepEqual(
        seen.map(([first]) => first),
        sandboxes.map(({ sandboxId }, i) => `${['red', 'green'][i]} ${sandboxId}`),
      );
      assert.notEqual(seen[0]![1], seen[1]![1], 'each has its machine ID');
      await waitFor('others are started', () => containers().filter((name) => !ahead.includes(name)).length >= 2);
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
    });

    test('one whose processes have ended is not handed over, and nobody notices', async () => {
      await waitFor('two are started', () => containers().length >= 2);
      for (const name of containers()) process.kill(pidOf(name)!, 'SIGKILL');
      const sandbox = await Sandbox.create(server.options);
      assert.equal((await sandbox.commands.run('echo well')).stdout, 'well\n');
      await sandbox.kill();
    });

    test('more than there are is no error', async () => {
      const sandboxes = await Promise.all(Array.from({ length: 6 }, () => Sandbox.create(server.options)));
      assert(sandboxes.some((sandbox) => wasWarm(sandbox) === false));
      const outputs = await Promise.all(sandboxes.map(({ commands }) => commands.run('echo $E2B_SANDBOX_ID')));
      assert.deepEqual(
        outputs.map(({ stdout }) => stdout.trim()),
        sandboxes.map(({ sandboxId }) => sandboxId),
      );
      await Promise.all(sandboxes.map((sandbox) => sandbox.kill()));
    });
  });
}

test('with --warm 0 none is started ahead of time', async () => {
  const server = await SandportServer.start(runtimes.at(-1)!, ['--warm', '0']);
  try {
    const sandbox = await Sandbox.create(server.options);
    assert.equal(readdirSync(join(server.data, 'bundles')).length, 1);
    await sandbox.kill();
  } finally {
    assert.deepEqual(await server.stop(), []);
  }
});
