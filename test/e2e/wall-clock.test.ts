// The wall clock of the machine is set while sandboxes run, and while Sandport does not: what they have left stays.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Sandbox } from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const HOUR_MS = 3_600_000;
/** Between a request and its answer. */
const SLACK_MS = 60_000;

describe(`the wall clock is set under ${runtimes[0]}`, () => {
  let server: SandportServer;
  let offset = 0;
  let set: (by: number) => void;
  let directory: AsyncDisposable & { readonly path: string };

  before(async () => {
    directory = await mkdtempDisposable(join(tmpdir(), 'sandport-clock-'));
    const file = join(directory.path, 'offset');
    set = (by) => {
      offset += by;
      // In one step: the server reads it at any time.
      writeFileSync(file, String(offset).padEnd(20));
    };
    set(0);
    const env = {
      SANDPORT_TEST_CLOCK: file,
      NODE_OPTIONS: `--import=${new URL('../support/set-clock.ts', import.meta.url).href}`,
    };
    server = await SandportServer.start(runtimes[0]!, [], { env });
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
    await directory[Symbol.asyncDispose]();
  });

  /** Milliseconds that a sandbox has left, by what the API says and the clock that the server sees. */
  async function left(sandbox: Sandbox): Promise<number> {
    const { endAt, state } = await sandbox.getInfo();
    assert.equal(state, 'running');
    return endAt.getTime() - (Date.now() + offset);
  }
  const leftIs = async (sandbox: Sandbox, ms: number) =>
    waitFor(`${ms} ms are left`, async () => Math.abs((await left(sandbox)) - ms) < SLACK_MS);

  test('a sandbox keeps the time that it has left, and more is given from then on', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 600_000 });
    for (const by of [2 * HOUR_MS, -5 * HOUR_MS]) {
      set(by);
      await leftIs(sandbox, 600_000);
      // To extend is to compare with the end as it was.
      await Sandbox.connect(sandbox.sandboxId, { ...server.options, timeoutMs: 1_200_000 });
      await leftIs(sandbox, 1_200_000);
      await sandbox.setTimeout(600_000);
      await leftIs(sandbox, 600_000);
    }
    // The longest life is counted from the start, wherever that is now.
    set(30 * HOUR_MS);
    await sandbox.setTimeout(600_000);
    await leftIs(sandbox, 600_000);
    await sandbox.kill();
  });

  test('also when it is set while Sandport does not run', async () => {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 600_000 });
    for (const by of [2 * HOUR_MS, -5 * HOUR_MS]) {
      await server.crash();
      set(by);
      await server.launch();
      await leftIs(sandbox, 600_000);
    }
    await sandbox.kill();
  });

  test('a sandbox ends in its time, neither at the hour that was told nor with the jump', async () => {
    for (const by of [2 * HOUR_MS, -5 * HOUR_MS]) {
      const began = performance.now();
      const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 3000 });
      set(by);
      const isListed = async () => (await Sandbox.list(server.options).nextItems()).length > 0;
      await waitFor('it has ended', async () => !(await isListed()));
      assert(performance.now() - began >= 3000, 'it ended before its time');
      assert.equal(await sandbox.isRunning(), false);
    }
  });
});
