// How long a pause, a resumption, a waking request, a fork and a kill take, beside runsc's own checkpoint and restore.
import { readInstallation } from '@sandport/server/host/image/installation';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { untilIdle } from '../create/until-idle.ts';
import { SAMPLES_HEADING, Samples } from '../support/samples.ts';
import { bareTimes } from './bare-checkpoint.ts';
import { lifeTimes } from './sandport-times.ts';

const SIZES_MB = [0, 200];
const KINDS = ['pause', 'resume', 'wake', 'fork', 'kill', 'checkpoint', 'restore'] as const;
type Kind = (typeof KINDS)[number];

const titles: Readonly<Record<Kind, string>> = {
  pause: 'sandbox.pause() returns',
  resume: 'sandbox.connect() to the first answer of its URL',
  wake: 'one request to the URL of a paused sandbox',
  fork: "sandbox.fork() to the first answer of the fork's URL",
  kill: 'sandbox.kill() returns',
  checkpoint: 'bare runsc checkpoint',
  restore: 'bare runsc restore to the first answer',
};
const TITLE_WIDTH = 52;

export async function benchmarkLife(options: { readonly rounds: number; readonly signal: AbortSignal }): Promise<void> {
  const { base } = await readInstallation();
  const server = await SandportServer.start('runsc', ['--warm', '0']);
  const samples = SIZES_MB.map(() => Object.fromEntries(KINDS.map((kind) => [kind, new Samples()])));
  try {
    // The first round fills the page cache for all, and is not counted.
    for (let round = 0; round <= options.rounds; round++) {
      for (const [index, megabytes] of SIZES_MB.entries()) {
        options.signal.throwIfAborted();
        const ours = await lifeTimes(server.options, megabytes, () => untilIdle(server.data, 0));
        await untilIdle(server.data, 0);
        const times = { ...ours, ...(await bareTimes(base.image.rootfs, megabytes)) };
        if (round > 0) for (const kind of KINDS) samples[index]![kind]!.add(times[kind]);
      }
    }
  } finally {
    for (const line of await server.stop()) console.error(`left behind: ${line}`);
  }
  console.log(`life: ${options.rounds} rounds in turns, milliseconds, runsc\n`);
  for (const [index, megabytes] of SIZES_MB.entries()) {
    const of = samples[index] as Record<Kind, Samples>;
    console.log(`a web server that holds ${megabytes} MB`.padEnd(TITLE_WIDTH + 2) + SAMPLES_HEADING);
    for (const kind of KINDS) console.log(`  ${titles[kind].padEnd(TITLE_WIDTH)}${of[kind]}`);
    const ratio = (ours: number, peer: number): string => (ours / peer).toFixed(2);
    const { pause, resume, wake, fork, checkpoint, restore } = of;
    console.log(
      `  medians, Sandport's to the bare one's: pause ${ratio(pause.median, checkpoint.median)}, ` +
        `resume ${ratio(resume.median, restore.median)}, wake ${ratio(wake.median, restore.median)}, ` +
        `fork (to both) ${ratio(fork.median, checkpoint.median + restore.median)}\n`,
    );
  }
}
