// kill -9 of the control process at every named step: no sandbox that was answered is lost, every record is right, and
// nothing that nobody owns is left. `SANDPORT_FAULT_ROUNDS=250` adds so many rounds, twice, in which it dies at any time.
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { FaultPoint } from '@sandport/server/sandboxes/fault-point';
import { Sandbox } from 'e2b';
import { Sandbox as OwnSandbox } from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { repeat } from '../support/shell.ts';
import { waitFor } from '../support/wait-for.ts';

const ROUNDS = Number(process.env.SANDPORT_FAULT_ROUNDS ?? 0);
/** Most of it is the start of the server. */
const ROUND_MS = 20_000;

/** What is made ahead of time is nobody's, and would have to be told from what is left behind. */
const OPTIONS = ['--warm', '0'];

type Runtime = (typeof runtimes)[number];
type State = 'running' | 'paused' | 'gone';

interface Fault {
  readonly at: FaultPoint;
  /** What the kept sandbox has to be afterwards. */
  readonly kept: State;
  /** Sandboxes beside it that may be there, because their record says that they run. */
  readonly others?: number;
  readonly snapshots?: number;
}

const faults: readonly Fault[] = [
  { at: 'create:begun', kept: 'running' },
  { at: 'create:placed', kept: 'running' },
  { at: 'create:started', kept: 'running' },
  { at: 'create:running', kept: 'running', others: 1 },
  { at: 'pause:recorded', kept: 'running' },
  { at: 'pause:unrouted', kept: 'running' },
  { at: 'pause:written', kept: 'paused' },
  { at: 'pause:paused', kept: 'paused' },
  { at: 'pause:removed', kept: 'paused' },
  { at: 'resume:recorded', kept: 'paused' },
  { at: 'resume:placed', kept: 'paused' },
  { at: 'resume:started', kept: 'paused' },
  { at: 'resume:running', kept: 'running' },
  { at: 'snapshot:held', kept: 'running' },
  { at: 'snapshot:written', kept: 'running' },
  { at: 'snapshot:recorded', kept: 'running', snapshots: 1 },
  { at: 'fork:begun', kept: 'running' },
  { at: 'fork:placed', kept: 'running' },
  { at: 'fork:started', kept: 'running' },
  { at: 'fork:running', kept: 'running', others: 1 },
  { at: 'kill:recorded', kept: 'gone' },
  { at: 'kill:unrouted', kept: 'gone' },
  { at: 'kill:removed', kept: 'gone' },
];

/** A sandbox of which it is known what it holds: in memory, a shell that counts, or where that is not kept, in a file. */
class Kept {
  readonly sandbox: Sandbox;
  readonly keepsMemory: boolean;
  #count = 0;

  private constructor(sandbox: Sandbox, keepsMemory: boolean) {
    this.sandbox = sandbox;
    this.keepsMemory = keepsMemory;
  }

  static async create(server: SandportServer, runtime: Runtime): Promise<Kept> {
    const sandbox = await Sandbox.create({ ...server.options, timeoutMs: 3_600_000 });
    if (runtime === 'runc') return new Kept(sandbox, false);
    const program = `n=0; ${repeat(0.05, '[ -e tick ] && { n=$((n+1)); rm tick; echo $n > out; }')}`;
    await sandbox.commands.run(program, { background: true, timeoutMs: 0 });
    return new Kept(sandbox, true);
  }

  /** It runs, and goes on where it was. */
  async assertAlive(at: string): Promise<void> {
    const expected = `${++this.#count}\n`;
    const count = this.keepsMemory ? 'touch tick' : 'n=$(cat out || echo 0); echo $((n+1)) > out';
    await this.sandbox.commands.run(count);
    await waitFor(`the shell counts on after ${at}`, async () => (await this.sandbox.files.read('out')) === expected);
  }
}

/** Does what the first word of a fault point says. */
async function provoke(at: string, { sandbox, keepsMemory }: Kept, { options }: SandportServer): Promise<void> {
  const [step] = at.split(':');
  if (step === 'create') await Sandbox.create({ ...options, requestTimeoutMs: 20_000 });
  else if (step === 'pause') await sandbox.pause({ keepMemory: keepsMemory });
  else if (step === 'resume') await sandbox.connect({ timeoutMs: 3_600_000 });
  else if (step === 'snapshot') await sandbox.createSnapshot();
  else if (step === 'fork') await sandbox.fork();
  else await sandbox.kill();
}

async function stateOf({ sandbox }: Kept): Promise<State> {
  try {
    return (await sandbox.getInfo()).state;
  } catch (error) {
    if ((error as Error).name === 'SandboxNotFoundError') return 'gone';
    throw error;
  }
}

/**
 * What is on the machine is what the records say.
 *
 * @param ahead how many sandboxes are started ahead of time, and containers made for what is resumed, if there is any
 */
async function assertConsistent(server: SandportServer, ahead = 0): Promise<void> {
  const all = await Sandbox.list(server.options).nextItems();
  const running = all.filter(({ state }) => state === 'running').length;
  const paused = all.filter(({ state }) => state === 'paused').length;
  const snapshots = (await Sandbox.listSnapshots(server.options).nextItems()).length;
  const entries = async (name: string) => (await readdir(join(server.data, name)).catch(() => [])).length;
  const made = ahead + (paused + snapshots > 0 ? ahead : 0);
  await waitFor('a bundle for each that runs', async () => (await entries('bundles')) === running + made);
  await waitFor('a directory for each snapshot', async () => (await entries('snapshots')) === paused + snapshots);
}

const OUTCOMES: Readonly<Record<string, State>> = {
  created: 'running',
  resumed: 'running',
  paused: 'paused',
  killed: 'gone',
};

/** What was told of a sandbox's life comes to what it is, and nothing is told twice. */
async function assertTold({ sandbox }: Kept, server: SandportServer, expected: State, at: string): Promise<void> {
  const { sandboxId } = sandbox;
  const events = await OwnSandbox.listEvents({ ...server.options, sandboxId, limit: 100 });
  const outcomes = events
    .reverse()
    .map(({ type }) => OUTCOMES[type])
    .filter((outcome) => outcome !== undefined);
  assert.equal(outcomes.at(-1), expected, at);
  for (const [index, outcome] of outcomes.entries()) assert.notEqual(outcome, outcomes[index - 1], `${outcomes} ${at}`);
}

async function removeOthers(server: SandportServer, kept: Kept): Promise<{ others: number; snapshots: number }> {
  const { options } = server;
  const all = (await Sandbox.list(options).nextItems()).filter(({ sandboxId }) => sandboxId !== kept.sandbox.sandboxId);
  for (const { sandboxId } of all) {
    const other = await Sandbox.connect(sandboxId, options);
    assert.equal((await other.commands.run('echo here')).stdout, 'here\n', 'one that is listed works');
    await other.kill();
  }
  const snapshots = await Sandbox.listSnapshots(options).nextItems();
  for (const { snapshotId } of snapshots) assert.equal(await Sandbox.deleteSnapshot(snapshotId, options), true);
  return { others: all.length, snapshots: snapshots.length };
}

/** Two servers at a time: most of a restart is waiting. */
const PARTS: readonly { readonly runtime: Runtime; readonly steps: readonly string[] }[] = [
  { runtime: 'runsc', steps: ['create', 'pause', 'resume'] },
  { runtime: 'runsc', steps: ['snapshot', 'fork', 'kill'] },
  // What it can do without keeping memory.
  { runtime: 'runc', steps: ['create', 'pause', 'resume', 'kill'] },
];

describe('faults', { concurrency: 2 }, () => {
  for (const { runtime, steps } of PARTS.filter((part) => runtimes.includes(part.runtime))) {
    test(`kill -9 at each step of ${steps.join(', ')} loses nothing under ${runtime}`, async () => {
      await using server = await SandportServer.start(runtime, OPTIONS);
      let kept = await Kept.create(server, runtime);
      for (const { at, kept: expected, others = 0, snapshots = 0 } of faults.filter(({ at }) =>
        steps.includes(at.split(':')[0]!),
      )) {
        if (at.startsWith('resume') && (await stateOf(kept)) === 'running') await provoke('pause', kept, server);
        if (!at.startsWith('resume') && (await stateOf(kept)) === 'paused')
          await kept.sandbox.connect({ timeoutMs: 3_600_000 });
        server.crashAt(at);
        await Promise.all([provoke(at, kept, server).catch(() => {}), server.ended()]);
        await server.launch();
        assert.equal(await stateOf(kept), expected, at);
        await assertTold(kept, server, expected, at);
        assert.deepEqual(await removeOthers(server, kept), { others, snapshots }, at);
        await assertConsistent(server);
        if (expected === 'gone') kept = await Kept.create(server, runtime);
        else await kept.sandbox.connect({ timeoutMs: 3_600_000 });
        await kept.assertAlive(at);
      }
      await kept.sandbox.kill();
      assert.deepEqual(await server.stop(), []);
    });
  }

  for (const runtime of runtimes) {
    test(`nor does kill -9 while one that was started ahead of time is handed over under ${runtime}`, async () => {
      await using server = await SandportServer.start(runtime, ['--warm', '1']);
      const kept = await Kept.create(server, runtime);
      for (const { at, kept: expected, others = 0, snapshots = 0 } of faults.filter(({ at }) => /^create:/.test(at))) {
        // One is ready, or is being made and then waited for.
        await assertConsistent(server, 1);
        server.crashAt(at);
        await Promise.all([provoke(at, kept, server).catch(() => {}), server.ended()]);
        await server.launch();
        assert.equal(await stateOf(kept), expected, at);
        assert.deepEqual(await removeOthers(server, kept), { others, snapshots }, at);
        await kept.assertAlive(at);
      }
      const lines = server.log().trim().split('\n');
      const starts = lines
        .map((line) => JSON.parse(line) as { msg: string; warm?: boolean })
        .filter(({ msg }) => msg === 'sandbox started');
      const isWarm = starts.slice(1).map(({ warm }) => warm);
      assert.deepEqual(isWarm, [true, true], 'of the steps after the handing over');
      await kept.sandbox.kill();
      assert.deepEqual(await server.stop(), []);
    });
  }

  const skip = ROUNDS === 0 && 'SANDPORT_FAULT_ROUNDS is not set';
  for (const ahead of [0, 1]) {
    const timeout = 60_000 + ROUNDS * ROUND_MS;
    test(`nor at any time, with ${ahead} made ahead of time`, { skip, timeout }, async (context) => {
      await using server = await SandportServer.start('runsc', ['--warm', `${ahead}`]);
      let kept = await Kept.create(server, 'runsc');
      for (let round = 0; round < ROUNDS; round++) {
        const before = await stateOf(kept);
        const possible = before === 'running' ? ['create', 'pause', 'snapshot', 'fork', 'kill'] : ['resume', 'kill'];
        const step = possible[Math.floor(Math.random() * possible.length)]!;
        const afterMs = Math.floor(Math.random() * 700);
        const what = `round ${round}: ${step} of one that was ${before}, ended after ${afterMs} ms`;
        let answered = false;
        const attempt = provoke(step, kept, server).then(
          () => {
            answered = true;
          },
          () => {},
        );
        await delay(afterMs);
        await server.crash();
        await attempt;
        await server.launch();
        const state = await stateOf(kept);
        const done: Partial<Record<string, State>> = { pause: 'paused', resume: 'running', kill: 'gone' };
        const afterwards = done[step] ?? before;
        assert((answered ? [afterwards] : [before, afterwards]).includes(state), `${what}: ${state}`);
        const { others, snapshots } = await removeOthers(server, kept);
        const most = { create: [1, 0], fork: [1, 0], snapshot: [0, 1] }[step] ?? [0, 0];
        assert(others <= most[0]! && snapshots <= most[1]!, `${what}: ${others} others, ${snapshots} snapshots`);
        if (answered) assert.deepEqual([others, snapshots], most, what);
        await assertTold(kept, server, state, what);
        await assertConsistent(server, ahead);
        if (state === 'gone') kept = await Kept.create(server, 'runsc');
        // A paused one may be met by the next round as it is.
        if (state !== 'paused' || Math.random() < 0.5) {
          await kept.sandbox.connect({ timeoutMs: 3_600_000 });
          await kept.assertAlive(what);
        }
        if (round % 50 === 49) context.diagnostic(`${round + 1} rounds`);
      }
      await kept.sandbox.kill();
      assert.deepEqual(await server.stop(), []);
    });
  }
});
