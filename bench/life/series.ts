// Whether an operation costs the same with many sandboxes alive, and what it costs when many are done at once.
import { setTimeout as delay } from 'node:timers/promises';
import { Sandbox } from 'sandport';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { untilIdle } from '../create/until-idle.ts';
import { Samples } from '../support/samples.ts';
import { atOnce } from './at-once.ts';
import type { LifeOptions } from './life.ts';

const ALIVE = [1, 10, 100];
const AT_ONCE = [1, 4, 16];
/** At least so many samples of each. */
const SAMPLES = 8;
/** Growing is not measured; as many as there are processors is as fast as it gets. */
const GROWING = 4;
const KINDS = ['pooled', 'cold', 'pause', 'resume', 'fork', 'kill'] as const;
type Kind = (typeof KINDS)[number];
type Cell = Readonly<Record<Kind, Samples>>;

const titles: Readonly<Record<Kind, string>> = {
  pooled: 'create, started ahead of time',
  cold: 'create, started when asked for',
  pause: 'pause',
  resume: 'resume',
  fork: 'fork',
  kill: 'kill',
};
/** From which on Sandport takes a sandbox that does nothing for idle, and one second more. */
const CALM_MS = 31_000;
/** None of them ends while it is measured. */
const LIFE = { timeoutMs: 3_600_000, requestTimeoutMs: 180_000 };

export async function measureSeries({ signal }: LifeOptions): Promise<void> {
  const cells = ALIVE.map(() =>
    AT_ONCE.map(() => Object.fromEntries(KINDS.map((kind) => [kind, new Samples()])) as Cell),
  );
  for (const ahead of [0, Math.max(...AT_ONCE)]) {
    const server = await SandportServer.start('runsc', ['--warm', String(ahead)]);
    try {
      const idle: Sandbox[] = [];
      await untilIdle(server.data, 0, ahead > 0);
      for (const [row, alive] of ALIVE.entries()) {
        while (idle.length < alive) {
          signal.throwIfAborted();
          const missing = Math.min(GROWING, alive - idle.length);
          idle.push(...(await atOnce(missing, () => Sandbox.create({ ...server.options, ...LIFE }))).values);
        }
        await delay(CALM_MS, undefined, { signal });
        for (const [column, count] of AT_ONCE.entries()) {
          const cell = cells[row]![column]!;
          for (let done = 0; done < SAMPLES; done += count) {
            signal.throwIfAborted();
            await (ahead === 0
              ? allOperations(server, alive, count, cell)
              : pooledCreation(server, alive, count, cell));
          }
        }
      }
    } finally {
      for (const line of await server.stop()) console.error(`left behind: ${line}`);
    }
  }
  print(cells);
}

async function allOperations(server: SandportServer, alive: number, count: number, cell: Cell): Promise<void> {
  await untilIdle(server.data, alive);
  const created = await atOnce(count, () => Sandbox.create({ ...server.options, ...LIFE }));
  cell.cold.addAll(created.ms);
  const sandboxes = created.values;
  // What the first command of a sandbox sets up belongs to it.
  for (const sandbox of sandboxes) await sandbox.commands.run('true');
  cell.pause.addAll((await atOnce(count, (index) => sandboxes[index]!.pause(LIFE))).ms);
  await untilIdle(server.data, alive);
  cell.resume.addAll((await atOnce(count, (index) => sandboxes[index]!.connect(LIFE))).ms);
  const forks = await atOnce(count, (index) => fork(sandboxes[index]!));
  cell.fork.addAll(forks.ms);
  const all = [...sandboxes, ...forks.values];
  const ended = await atOnce(count, (index) => all[index]!.kill());
  cell.kill.addAll(ended.ms);
  await atOnce(count, (index) => all[count + index]!.kill());
}

async function fork(sandbox: Sandbox): Promise<Sandbox> {
  const [made] = await sandbox.fork(LIFE);
  if (!(made instanceof Sandbox)) throw made;
  return made;
}

/** The first burst tells the pool how many to keep started. */
async function pooledCreation(server: SandportServer, alive: number, count: number, cell: Cell): Promise<void> {
  for (const measured of [false, true]) {
    const created = await atOnce(count, () => Sandbox.create({ ...server.options, ...LIFE }));
    if (measured) cell.pooled.addAll(created.ms);
    await Promise.all(created.values.map((sandbox) => sandbox.kill()));
    // The pool keeps more than were asked for last, for a minute.
    await untilIdle(server.data, alive + count, true);
  }
}

function print(cells: readonly (readonly Cell[])[]): void {
  console.log('series: milliseconds, median / p99, runsc, sandboxes in which nothing runs\n');
  const heading = ALIVE.flatMap((alive) => AT_ONCE.map((count) => `${alive}/${count}`.padStart(12)));
  console.log(`${'alive/at once'.padEnd(32)}${heading.join('')}`);
  for (const kind of KINDS) {
    const figures = cells.flat().map((cell) => {
      const of = cell[kind];
      return `${of.median.toFixed(0)} / ${of.quantile(0.99).toFixed(0)}`.padStart(12);
    });
    console.log(`${titles[kind].padEnd(32)}${figures.join('')}`);
  }
  const [few, many] = [cells[0]!, cells.at(-1)!];
  const ratios = KINDS.map((kind) => {
    const growth = AT_ONCE.map((_, column) => (many[column]![kind].median / few[column]![kind].median).toFixed(2));
    return `${kind} ${growth.join(' ')}`;
  });
  console.log(`medians with ${ALIVE.at(-1)} alive to those with ${ALIVE[0]}: ${ratios.join(', ')}\n`);
}
