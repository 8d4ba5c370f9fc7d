// How long until a new sandbox is of use, beside bare runs of the same runtimes on the same image, in turns.
import { availableParallelism, release } from 'node:os';
import { readInstallation } from '@sandport/server/host/image/installation';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { Samples } from '../support/samples.ts';
import { bareFirstAnswer, bareFirstByte, type RuntimeName } from './bare-container.ts';
import { creationTimes } from './sandport-times.ts';

const runtimes: readonly RuntimeName[] = ['runsc', 'runc'];
const KINDS = ['created', 'firstByte', 'firstAnswer', 'bareFirstByte', 'bareFirstAnswer'] as const;
type Kind = (typeof KINDS)[number];

const titles: Readonly<Record<Kind, string>> = {
  created: 'Sandbox.create() returns',
  firstByte: "first byte of a command's output",
  firstAnswer: 'first answer of its public URL',
  bareFirstByte: "bare run: first byte of a command's output",
  bareFirstAnswer: 'bare run: first answer of its web server',
};

export async function benchmarkCreate({ rounds }: { rounds: number }): Promise<void> {
  const { base } = await readInstallation();
  console.log(
    `Linux ${release()}, ${availableParallelism()} processors, ${rounds} rounds in turns; milliseconds: least, median, 99th percentile\n`,
  );
  for (const runtime of runtimes) {
    const samples = Object.fromEntries(KINDS.map((kind) => [kind, new Samples()])) as Record<Kind, Samples>;
    const server = await SandportServer.start(runtime);
    try {
      for (let round = 0; round <= rounds; round++) {
        const times = await creationTimes(server.options);
        const bare = {
          bareFirstByte: await bareFirstByte(runtime, base.image.rootfs),
          bareFirstAnswer: await bareFirstAnswer(runtime, base.image.rootfs),
        };
        // The first round fills the page cache for all.
        if (round > 0)
          for (const [kind, value] of Object.entries({ ...times, ...bare })) samples[kind as Kind].add(value);
      }
    } finally {
      const left = await server.stop();
      for (const line of left) console.error(`left behind: ${line}`);
    }
    console.log(runtime);
    for (const kind of KINDS) console.log(`  ${titles[kind].padEnd(46)}${samples[kind]}`);
    const ratio = (ours: Kind, peer: Kind): string => (samples[ours].median / samples[peer].median).toFixed(2);
    console.log(
      `  ratio to the bare run: first output ${ratio('firstByte', 'bareFirstByte')}, first answer ${ratio('firstAnswer', 'bareFirstAnswer')}\n`,
    );
  }
}
