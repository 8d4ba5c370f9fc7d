// npm run bench -- NAME [--rounds N] [--only PART,PART]: one benchmark, side by side with its peers in the same run.
import { parseArgs } from 'node:util';
import { benchmarkAgent } from './agent/agent.ts';
import { benchmarkCreate } from './create/create.ts';
import { benchmarkEgress } from './egress/egress.ts';
import { benchmarkGateway } from './gateway/gateway.ts';
import { benchmarkLife } from './life/life.ts';
import { machineFacts } from './support/machine-facts.ts';

interface BenchmarkOptions {
  readonly rounds: number;
  /** Parts of the benchmark; none: all. */
  readonly only: readonly string[];
  /** Aborted by Ctrl-C: the benchmark then stops between two rounds and removes what it made. */
  readonly signal: AbortSignal;
}

interface Benchmark {
  readonly about: string;
  /** When none are asked for. Default: 10. */
  readonly rounds?: number;
  readonly run: (options: BenchmarkOptions) => Promise<void>;
}

const benchmarks: Readonly<Record<string, Benchmark>> = {
  agent: {
    about: 'start, idle memory and a trivial command of the agent, beside a bare Node server and a bare spawn',
    run: benchmarkAgent,
  },
  create: {
    about: 'from Sandbox.create() to a first output and a first public answer, beside bare runsc and runc',
    run: benchmarkCreate,
  },
  egress: {
    about: 'throughput and new connections under rules of each kind, beside a bare veth pair with masquerade',
    rounds: 4,
    run: benchmarkEgress,
  },
  gateway: {
    about: 'the gateway beside nginx, HAProxy, Caddy and the reverse proxy of Go, each on one processor',
    rounds: 4,
    run: benchmarkGateway,
  },
  life: {
    about:
      'creation, pause, resume, wake, fork and kill beside bare runsc, with 1 to 100 alive; memory and disk of each',
    run: benchmarkLife,
  },
};
const DEFAULT_ROUNDS = 10;

const { name, rounds: asked, only } = readArguments();
if (process.getuid?.() !== 0) fail('The benchmarks start sandboxes and need root: run "sudo npm run bench".');
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
if (benchmark === undefined) fail(`${name === '' ? 'no benchmark is named' : `no benchmark "${name}"`}\n${usage()}`);
const rounds = asked ?? String(benchmark.rounds ?? DEFAULT_ROUNDS);
if (!/^[1-9][0-9]{0,4}$/.test(rounds)) fail(`--rounds ${rounds}: a number from 1 to 99999 is expected`);

const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interruption.abort());
console.log(`${machineFacts()}\n`);
try {
  await benchmark.run({ rounds: Number(rounds), only, signal: interruption.signal });
} catch (error) {
  if (!interruption.signal.aborted) throw error;
  fail('interrupted');
}

function readArguments(): { name: string; rounds: string | undefined; only: string[] } {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: { rounds: { type: 'string' }, only: { type: 'string' } },
    });
    const only = values.only?.split(',') ?? [];
    return { name: positionals[0] ?? '', rounds: values.rounds, only };
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${usage()}`);
  }
}

function usage(): string {
  const names = Object.entries(benchmarks).map(([name, { about }]) => `  ${name}  ${about}`);
  return ['npm run bench -- NAME [--rounds N] [--only PART,PART], with one of these names:', ...names].join('\n');
}

function fail(message: string): never {
  console.error(message);
  process.exit(1);
}
