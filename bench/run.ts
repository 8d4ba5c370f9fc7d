// npm run bench -- NAME [--rounds N]: one benchmark, side by side with its peers in the same run.
import { parseArgs } from 'node:util';
import { benchmarkCreate } from './create/create.ts';

interface Benchmark {
  readonly about: string;
  readonly run: (options: { readonly rounds: number }) => Promise<void>;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  create: {
    about: 'from Sandbox.create() to a first output and a first public answer, beside bare runsc and runc',
    run: benchmarkCreate,
  },
};
const DEFAULT_ROUNDS = 10;

if (process.getuid?.() !== 0) {
  console.error('The benchmarks start sandboxes and need root: run "sudo npm run bench".');
  process.exit(1);
}
const { positionals, values } = parseArgs({ allowPositionals: true, options: { rounds: { type: 'string' } } });
const benchmark = benchmarks[positionals[0] ?? ''];
const rounds = Number(values.rounds ?? DEFAULT_ROUNDS);
if (benchmark === undefined || !Number.isInteger(rounds) || rounds < 1) {
  console.error('npm run bench -- NAME [--rounds N], with one of these names:');
  for (const [name, { about }] of Object.entries(benchmarks)) console.error(`  ${name}  ${about}`);
  process.exit(1);
}
await benchmark.run({ rounds });
