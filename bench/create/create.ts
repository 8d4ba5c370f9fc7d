// How long until a new sandbox is of use, beside bare runs of the same runtimes on the same image, in turns.
import { readInstallation } from '@sandport/server/host/image/installation';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { bareFirstAnswer, bareFirstByte, type RuntimeName } from '../support/bare-container.ts';
import { SAMPLES_HEADING, Samples } from '../support/samples.ts';
import { bareAgentAnswer } from './bare-agent.ts';
import { creationTimes } from './sandport-times.ts';
import { untilIdle } from './until-idle.ts';

const runtimes: readonly RuntimeName[] = ['runsc', 'runc'];

const KINDS = [
  'created',
  'firstByte',
  'nextByte',
  'firstAnswer',
  'bareAgent',
  'bareFirstByte',
  'bareFirstAnswer',
] as const;
type Kind = (typeof KINDS)[number];
type Times = Readonly<Record<Kind, number>>;

/** Sandboxes that a server keeps started when one is asked for at a time. */
const AHEAD = 2;

interface Contestant {
  readonly runtime: RuntimeName;
  readonly ahead: number;
  readonly server: SandportServer;
  readonly samples: Readonly<Record<Kind, Samples>>;
}

const titles: Readonly<Record<Kind, string>> = {
  created: 'Sandbox.create() returns',
  firstByte: "first byte of a command's output",
  nextByte: 'the same command after a rest: first byte',
  firstAnswer: 'first answer of its public URL',
  bareAgent: 'bare run: first answer of the agent',
  bareFirstByte: "bare run: first byte of a command's output",
  bareFirstAnswer: 'bare run: first answer of its web server',
};
const TITLE_WIDTH = 46;

export async function benchmarkCreate(options: {
  readonly rounds: number;
  readonly signal: AbortSignal;
}): Promise<void> {
  const installation = await readInstallation();
  const { base } = installation;
  await using servers = new AsyncDisposableStack();
  const contestants: Contestant[] = [];
  for (const [runtime, ahead] of runtimes.flatMap((runtime) => [[runtime, 0] as const, [runtime, AHEAD] as const])) {
    const server = await SandportServer.start(runtime, ['--warm', String(ahead)]);
    servers.defer(async () => {
      for (const line of await server.stop()) console.error(`left behind: ${line}`);
    });
    contestants.push({
      runtime,
      ahead,
      server,
      samples: Object.fromEntries(KINDS.map((kind) => [kind, new Samples()])) as Record<Kind, Samples>,
    });
  }
  // The first round fills the page cache for all, and is not counted.
  for (let round = 0; round <= options.rounds; round++) {
    for (const { runtime, ahead, server, samples } of contestants) {
      options.signal.throwIfAborted();
      const ours = await creationTimes(server.options);
      // The removal goes on after the answer to it; what is measured next is to have the machine to itself.
      await untilIdle(server.data, ahead);
      const times: Times = {
        ...ours,
        bareAgent: await bareAgentAnswer(runtime, installation),
        bareFirstByte: await bareFirstByte(runtime, base.image.rootfs),
        bareFirstAnswer: await bareFirstAnswer(runtime, base.image.rootfs),
      };
      if (round > 0) for (const kind of KINDS) samples[kind].add(times[kind]);
    }
  }
  console.log(`create: ${options.rounds} rounds in turns, milliseconds\n`);
  for (const { runtime, ahead, samples } of contestants) {
    const title = `${runtime}, ${ahead === 0 ? 'started when asked for' : 'started ahead of time'}`;
    console.log(title.padEnd(TITLE_WIDTH + 2) + SAMPLES_HEADING);
    for (const kind of KINDS) console.log(`  ${titles[kind].padEnd(TITLE_WIDTH)}${samples[kind]}`);
    const ratio = (ours: Kind, peer: Kind): string => (samples[ours].median / samples[peer].median).toFixed(2);
    const above = samples.firstByte.median - samples.nextByte.median;
    console.log(`  first output above the command's own time, medians: ${above.toFixed(0)} ms`);
    console.log(
      `  medians, Sandport's to the bare run's: return ${ratio('created', 'bareAgent')}, first output ${ratio('firstByte', 'bareFirstByte')}, first answer ${ratio('firstAnswer', 'bareFirstAnswer')}\n`,
    );
  }
}
