// How long after its end time a sandbox ends, with a thousand alive.
import { Sandbox } from 'sandport';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { waitFor } from '../../test/support/wait-for.ts';
import { Samples } from '../support/samples.ts';
import { atOnce } from './at-once.ts';
import type { LifeOptions } from './life.ts';

const COUNT = 1000;
const WIDTH = 4;
/** Seconds over which the end times are spread. */
const SPREAD = 100;
/** Seconds to the first of them, in which all are set. */
const LEAD = 30;
const LONGEST_MS = 300_000;

export async function measureEndTimes({ signal }: LifeOptions): Promise<void> {
  // A thousand of the other runtime take more memory than most machines have; end times are not the runtime's.
  const server = await SandportServer.start('runc', ['--warm', '0', '--max-sandboxes', String(COUNT)]);
  try {
    const sandboxes: Sandbox[] = [];
    while (sandboxes.length < COUNT) {
      signal.throwIfAborted();
      const options = { ...server.options, timeoutMs: 3_600_000, requestTimeoutMs: 120_000 };
      sandboxes.push(...(await atOnce(WIDTH, () => Sandbox.create(options))).values);
    }
    for (const [index, sandbox] of sandboxes.entries()) {
      await sandbox.setTimeout((LEAD + Math.floor((index * SPREAD) / COUNT)) * 1000);
    }
    const left = async () => (await Sandbox.list({ ...server.options, limit: 1 }).nextItems()).length;
    await waitFor('all have ended', async () => (await left()) === 0, LONGEST_MS);
    const late = new Samples();
    for (const { sandboxId } of sandboxes) {
      const events = await Sandbox.listEvents({ ...server.options, sandboxId, limit: 3 });
      const moved = events.find(({ type }) => type === 'updated');
      const ended = events.find(({ type }) => type === 'killed');
      if (ended?.killReason !== 'timeout') throw new Error(`${sandboxId} ended otherwise: ${ended?.killReason}`);
      late.add(ended.timestamp.getTime() - Date.parse(String(moved?.data.set_timeout)));
    }
    console.log(
      `end-times: ${COUNT} sandboxes alive that end within ${SPREAD} s, runc; milliseconds after the end time\n`,
    );
    const figures = [0, 0.5, 0.99, 1].map((fraction) => late.quantile(fraction).toFixed(0).padStart(8)).join('');
    console.log(`  minimum, median, p99, maximum ${figures}\n`);
  } finally {
    for (const line of await server.stop()) console.error(`left behind: ${line}`);
  }
}
