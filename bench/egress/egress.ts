// Throughput and new connections of a slot under rules of each kind, beside a bare veth pair with masquerade, and with
// HAProxy for rules by name.
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toDotted } from '@sandport/server/egress/address-ranges';
import { Egress } from '@sandport/server/host/network/egress';
import { type EgressPolicy, EVERYTHING, OPEN } from '@sandport/server/host/network/egress-policy';
import { createSlots, removeSlot, slotNames } from '@sandport/server/host/network/slot';
import { runCommand } from '@sandport/server/host/run-command';
import { findProcesses } from '@sandport/server/process-identity';
import { Outside } from '../../test/support/outside.ts';
import { enterOwnNetwork } from '../../test/support/own-network.ts';
import { cpuSeconds } from '../gateway/processes.ts';
import { Samples } from '../support/samples.ts';
import { BareNamespace } from './bare-namespace.ts';
import { startHaproxy } from './haproxy.ts';

const CLIENT = fileURLToPath(new URL('client.ts', import.meta.url));
const NAMES = slotNames('bench2');
/** The last block; a Sandport that runs beside takes others first. */
const BLOCK = '198.19.248.0/21';
const SLOT = { index: 0, address: '198.19.248.1' };
/** Takes most of a second: less is over before all that takes part has come up to speed. */
const BYTES = 1_000_000_000;
/** New connections under way at once: how long one takes counts with few, with many what the processors can do. */
const FEW = 8;
const MANY = 100;
const SECONDS = 1;
const NAME = 'allowed.test';

type Kind = 'plain' | 'tls';

interface Case {
  readonly label: string;
  readonly kind: Kind;
  /** Of the slot, or the peer of rules by name. */
  readonly way: EgressPolicy | 'haproxy';
}

interface Count {
  readonly count: number;
  readonly seconds: number;
}

/** From where the server is asked, and what then stands between. */
interface Way {
  readonly namespace: string;
  readonly proxy: readonly number[];
}

/** By the second, and the same of the bare pair in the same moments. */
interface Rate {
  readonly own: number;
  readonly bare: number;
}

interface Measured {
  readonly bytes: Rate;
  readonly few: Rate;
  readonly many: Rate;
  /** For a connection, with many at once. */
  readonly proxySeconds: number;
}

type Figure = Exclude<keyof Measured, 'proxySeconds'>;

const byName: EgressPolicy = { ...OPEN, domains: [NAME], deny: [EVERYTHING] };
const CASES: readonly Case[] = [
  { label: 'no rules', kind: 'plain', way: OPEN },
  ...[1, 100, 10_000].map((count): Case => ({ label: `${count} ranges`, kind: 'plain', way: ranges(count) })),
  { label: 'by name', kind: 'plain', way: byName },
  { label: 'HAProxy', kind: 'plain', way: 'haproxy' },
  { label: 'no rules, TLS', kind: 'tls', way: OPEN },
  { label: 'by name, TLS', kind: 'tls', way: byName },
  { label: 'HAProxy, TLS', kind: 'tls', way: 'haproxy' },
];

export async function benchmarkEgress({ rounds, signal }: { rounds: number; signal: AbortSignal }): Promise<void> {
  enterOwnNetwork();
  // Which a network has of its own.
  await runCommand('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  await using outside = await Outside.open();
  await using bare = await BareNamespace.open(0);
  await using proxied = await BareNamespace.open(1);
  await using directory = await mkdtempDisposable(join(tmpdir(), 'sandport-bench-'));
  await mkdir(join(directory.path, 'logs'));
  const egress = new Egress({
    table: 'sandport_bench2',
    interfacePrefix: NAMES.interfacePrefix,
    maxConnections: undefined,
    dataDirectory: directory.path,
    blockCidr: BLOCK,
    permitted: [],
    nameservers: [outside.nameserver],
    onError: (event, error) => console.error(event, error),
  });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => egress.close({ sandboxesLeft: false }));
  cleanup.defer(() => removeSlot(NAMES, SLOT.index));
  await egress.install([]);
  await removeSlot(NAMES, SLOT.index);
  await createSlots(NAMES, [SLOT]);
  await egress.addSlots([SLOT]);
  await forgetAtOnce(outside);

  const socketPath = join(directory.path, 'egress.sock');
  const own = findProcesses((args) => args.includes(socketPath)).map(({ pid }) => pid);
  const host = outside.hosts[0];
  await using haproxy = await startHaproxy(proxied, { directory: directory.path, host, name: NAME });
  const changes = new Map(CASES.map(({ label }) => [label, new Samples()]));
  const results = new Map(CASES.map(({ label }) => [label, [] as Measured[]]));
  // The first round is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const { label, kind, way } of CASES) {
      signal.throwIfAborted();
      const started = performance.now();
      if (typeof way === 'object') await egress.set(SLOT.address, way);
      const change = performance.now() - started;
      const slot = { namespace: `${NAMES.namespacePrefix}${SLOT.index}`, proxy: own };
      const measured = await measure(kind, {
        own: way === 'haproxy' ? { namespace: proxied.name, proxy: [haproxy.pid] } : slot,
        bare: { namespace: bare.name, proxy: [] },
        host,
        bareFirst: round % 2 === 0,
      }).catch((error: Error) => {
        throw new Error(`${label}: ${error.message}`, { cause: error });
      });
      if (round === 0) continue;
      changes.get(label)!.add(change);
      results.get(label)!.push(measured);
    }
  }
  print(results, changes);
}

/**
 * All take turns at the ports of one address. One that a connection had a minute ago is not free yet, neither for server
 * and proxy nor for the translation of addresses, and whoever gets it waits, up to a second: the next case would pay for
 * the last.
 */
async function forgetAtOnce(outside: Outside): Promise<void> {
  await runCommand('sysctl', ['-qw', 'net.netfilter.nf_conntrack_tcp_timeout_time_wait=1']);
  await runCommand('sysctl', ['-qw', 'net.ipv4.tcp_max_tw_buckets=0']);
  await runCommand('ip', ['netns', 'exec', outside.namespace, 'sysctl', '-qw', 'net.ipv4.tcp_max_tw_buckets=0']);
}

/**
 * Own way and bare pair in turns, twice each, figure by figure: what this machine can do differs by more than what is
 * looked for from one half minute to the next, and both see as much of a change.
 */
async function measure(
  kind: Kind,
  { own, bare, host, bareFirst }: { own: Way; bare: Way; host: string; bareFirst: boolean },
): Promise<Measured> {
  const run = async ({ namespace }: Way, what: readonly (string | number)[]): Promise<number> => {
    const client = [process.execPath, CLIENT, host, kind, NAME, ...what.map(String)];
    const text = await runCommand('ip', ['netns', 'exec', namespace, ...client], { timeoutMs: 120_000 });
    const { count, seconds } = JSON.parse(text) as Count;
    return count / seconds;
  };
  const inTurns = async (...what: readonly (string | number)[]): Promise<Rate> => {
    const turns = bareFirst ? [bare, own, own, bare] : [own, bare, bare, own];
    const rate = new Map([own, bare].map((way) => [way, 0]));
    for (const way of turns) rate.set(way, rate.get(way)! + (await run(way, what)) / 2);
    return { own: rate.get(own)!, bare: rate.get(bare)! };
  };
  const bytes = await inTurns('bytes', BYTES);
  const few = await inTurns('connections', FEW, SECONDS);
  const cpu = cpuSeconds(own.proxy);
  const many = await inTurns('connections', MANY, SECONDS);
  return { bytes, few, many, proxySeconds: (cpuSeconds(own.proxy) - cpu) / (2 * many.own * SECONDS) };
}

/** Denied ranges, none of which is looked for: the host that is asked stands behind all of them. */
function ranges(count: number): EgressPolicy {
  return { ...OPEN, deny: Array.from({ length: count }, (_, index) => `${toDotted(2 ** 24 + index * 512)}/24`) };
}

function print(results: ReadonlyMap<string, readonly Measured[]>, changes: ReadonlyMap<string, Samples>): void {
  const rates = [`conn/s, ${FEW}`, 'bare / it', `${MANY} at once`, 'bare / it'];
  console.log(row(['', 'MB/s', 'bare / it', ...rates, 'proxy us', 'change ms']));
  for (const kind of ['plain', 'tls'] as const) {
    const cases = CASES.filter((one) => one.kind === kind);
    const all = cases.flatMap(({ label }) => results.get(label)!);
    const bare = (figure: Figure, unit = 1): string[] => [
      (median(all.map((one) => one[figure].bare)) / unit).toFixed(0),
      '',
    ];
    console.log(row([kind === 'tls' ? 'bare, TLS' : 'bare', ...bare('bytes', 1e6), ...bare('few'), ...bare('many')]));
    for (const { label, way } of cases) {
      const own = results.get(label)!;
      const columns = (figure: Figure, unit = 1): readonly string[] => [
        (median(own.map((one) => one[figure].own)) / unit).toFixed(0),
        `${median(own.map((one) => one[figure].bare / one[figure].own)).toFixed(2)} x`,
      ];
      const change = way === 'haproxy' ? '' : changes.get(label)!.median.toFixed(0);
      const hasProxy = way === byName || way === 'haproxy';
      const proxy = hasProxy ? (1e6 * median(own.map(({ proxySeconds }) => proxySeconds))).toFixed(0) : '';
      console.log(row([label, ...columns('bytes', 1e6), ...columns('few'), ...columns('many'), proxy, change]));
    }
  }
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(16) : cell.padStart(11))).join('');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
