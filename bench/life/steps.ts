// How long a start from nothing, a pause, a resumption, a waking request, a fork and a kill take, beside runsc's own run,
// checkpoint and restore.
import { readInstallation } from '@sandport/server/host/image/installation';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { bareAgentAnswer } from '../create/bare-agent.ts';
import { untilIdle } from '../create/until-idle.ts';
import { SAMPLES_HEADING, Samples } from '../support/samples.ts';
import { bareTimes } from './bare-checkpoint.ts';
import { lifeTimes } from './sandport-times.ts';

const SIZES_MB = [0, 200];
const KINDS = [
  ...(['create', 'pause', 'resume', 'resumePrepared', 'wake', 'wakePrepared', 'fork', 'forkPrepared', 'kill'] as const),
  ...(['run', 'checkpoint', 'restore', 'checkpointAlone', 'restoreAlone'] as const),
] as const;
type Kind = (typeof KINDS)[number];

const titles: Readonly<Record<Kind, string>> = {
  create: 'Sandbox.create() returns, started from nothing',
  pause: 'sandbox.pause() returns',
  resume: 'sandbox.connect() to the first answer of its URL',
  resumePrepared: 'the same, with a container prepared',
  wake: 'one request to the URL of a paused sandbox',
  wakePrepared: 'the same, with a container prepared',
  fork: "sandbox.fork() to the first answer of the fork's URL",
  forkPrepared: 'the same, with a container prepared',
  kill: 'sandbox.kill() returns',
  run: 'bare runsc run to the first answer of the agent',
  checkpoint: 'bare runsc checkpoint of program and agent',
  restore: 'bare runsc restore of both to the first answer',
  checkpointAlone: 'bare runsc checkpoint of the program alone',
  restoreAlone: 'bare runsc restore of it to the first answer',
};
const TITLE_WIDTH = 52;

export async function measureSteps(options: { readonly rounds: number; readonly signal: AbortSignal }): Promise<void> {
  const installation = await readInstallation();
  // The one does everything when it is asked; the other keeps one sandbox started, and a container for what is resumed.
  await using server = await SandportServer.start('runsc', ['--warm', '0']);
  await using ahead = await SandportServer.start('runsc', ['--warm', '1']);
  const samples = SIZES_MB.map(() => Object.fromEntries(KINDS.map((kind) => [kind, new Samples()])));
  try {
    // The first round fills the page cache for all, and is not counted.
    for (let round = 0; round <= options.rounds; round++) {
      for (const [index, megabytes] of SIZES_MB.entries()) {
        options.signal.throwIfAborted();
        const cold = await lifeTimes(server.options, megabytes, (running) => untilIdle(server.data, running));
        await untilIdle(server.data, 0);
        const prepared = await lifeTimes(ahead.options, megabytes, (running) => untilIdle(ahead.data, running + 2));
        await untilIdle(ahead.data, 2);
        const run = await bareAgentAnswer('runsc', installation);
        const both = await bareTimes(installation, megabytes, true);
        const alone = await bareTimes(installation, megabytes, false);
        const times: Record<Kind, number> = {
          ...cold,
          ...{ resumePrepared: prepared.resume, wakePrepared: prepared.wake, forkPrepared: prepared.fork },
          run,
          ...both,
          ...{ checkpointAlone: alone.checkpoint, restoreAlone: alone.restore },
        };
        if (round > 0) for (const kind of KINDS) samples[index]![kind]!.add(times[kind]);
      }
    }
  } finally {
    for (const line of [...(await server.stop()), ...(await ahead.stop())]) console.error(`left behind: ${line}`);
  }
  console.log(`steps: ${options.rounds} rounds in turns, milliseconds, runsc\n`);
  for (const [index, megabytes] of SIZES_MB.entries()) {
    const of = samples[index] as Record<Kind, Samples>;
    console.log(`a web server that holds ${megabytes} MB`.padEnd(TITLE_WIDTH + 2) + SAMPLES_HEADING);
    for (const kind of KINDS) console.log(`  ${titles[kind].padEnd(TITLE_WIDTH)}${of[kind]}`);
    const ratio = (ours: number, peer: number): string => (ours / peer).toFixed(2);
    const { create, pause, run, checkpoint, restore, checkpointAlone, restoreAlone } = of;
    /** From nothing, and with a container prepared. */
    const both = (kind: 'resume' | 'wake' | 'fork', peer: number): string =>
      `${ratio(of[kind].median, peer)} (prepared ${ratio(of[`${kind}Prepared`].median, peer)})`;
    console.log(
      `  medians, Sandport's to the bare one's with the agent: create ${ratio(create.median, run.median)}, pause ${ratio(pause.median, checkpoint.median)}, ` +
        `resume ${both('resume', restore.median)}, wake ${both('wake', restore.median)}, ` +
        `fork (to both) ${both('fork', checkpoint.median + restore.median)}\n` +
        `  to the program alone: pause ${ratio(pause.median, checkpointAlone.median)}, resume ${both('resume', restoreAlone.median)}\n`,
    );
  }
}
