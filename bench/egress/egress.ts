// Throughput and new connections of a slot under rules of each kind, beside a bare veth pair with masquerade, and with
// HAProxy for rules by name.
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toDotted } from '@sandport/server/egress/address-ranges';
import { Egress } from '@sandport/server/host/network/egress';
import { type EgressPolicy, EVERYTHING, OPEN } from '@sandport/server/host/network/egress-policy';
import { createSlots, removeSlot, slotNames } from '@sandport/server/host/network/slot';
import { runCommand } from '@sandport/server/host/run-command';
import { findProcesses } from '@sandport/server/process-identity';
import { Outside } from '../../test/support/outside.ts';
import { enterOwnNetwork } from '../../test/support/own-network.ts';
import { cpuSeconds, machineSeconds } from '../gateway/processes.ts';
import { Samples } from '../support/samples.ts';
import { BareNamespace } from './bare-namespace.ts';
import { startHaproxy } from './haproxy.ts';
import { type Done, OrderedClient } from './ordered-client.ts';

const NAMES = slotNames('bench2');
/** The last block; a Sandport that runs beside takes others first. */
const BLOCK = '198.19.248.0/21';
const SLOT = { index: 0, address: '198.19.248.1' };
/** Takes as long as the turn of another figure. */
const BYTES = 250_000_000;
/** New connections under way at once: how long one takes counts with few, with many what the processors can do. */
const FEW = 8;
const MANY = 100;
/** Of one turn. What the machine can do differs by half within a minute: many short turns see the same of it. */
const SECONDS = 0.2;
/** Of each side, in one round. */
const TURNS = { bytes: 4, few: 16, many: 16 };
const NAME = 'allowed.test';

type Kind = 'plain' | 'tls';

interface Case {
  readonly label: string;
  readonly kind: Kind;
  /** Of the slot, or the peer of rules by name. */
  readonly way: EgressPolicy | 'haproxy';
}

interface Parties {
  readonly own: OrderedClient;
  readonly bare: OrderedClient;
  /** Between own client and server. */
  readonly proxy: readonly number[];
}

interface Worked extends Done {
  /** Processor time of all that took part: client, server, proxy and kernel. */
  readonly processorSeconds: number;
}

/** The same order to both, one after the other. */
interface Turn {
  readonly own: Worked;
  readonly bare: Worked;
}

type Figure = keyof typeof TURNS;

interface Measured {
  readonly turns: Readonly<Record<Figure, readonly Turn[]>>;
  /** For a connection, with many at once. */
  readonly proxySeconds: number;
}

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
  await using clients = new AsyncDisposableStack();
  const client = (namespace: string, kind: Kind): OrderedClient =>
    clients.use(new OrderedClient(namespace, [host, kind, NAME]));
  const open = (kind: Kind) => ({
    slot: client(`${NAMES.namespacePrefix}${SLOT.index}`, kind),
    haproxy: client(proxied.name, kind),
    bare: client(bare.name, kind),
  });
  const byKind = { plain: open('plain'), tls: open('tls') };
  const changes = new Map(CASES.map(({ label }) => [label, new Samples()]));
  const results = new Map(CASES.map(({ label }) => [label, [] as Measured[]]));
  // The first round is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const { label, kind, way } of CASES) {
      signal.throwIfAborted();
      const started = performance.now();
      if (typeof way === 'object') await egress.set(SLOT.address, way);
      const change = performance.now() - started;
      const measured = await measure({
        own: way === 'haproxy' ? byKind[kind].haproxy : byKind[kind].slot,
        bare: byKind[kind].bare,
        proxy: way === 'haproxy' ? [haproxy.pid] : own,
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

async function measure(parties: Parties): Promise<Measured> {
  const bytes = await inTurns(parties, TURNS.bytes, ['bytes', BYTES]);
  const few = await inTurns(parties, TURNS.few, ['connections', FEW, SECONDS]);
  const cpu = cpuSeconds(parties.proxy);
  const many = await inTurns(parties, TURNS.many, ['connections', MANY, SECONDS]);
  const connections = sum(many.map(({ own }) => own.count));
  return { turns: { bytes, few, many }, proxySeconds: (cpuSeconds(parties.proxy) - cpu) / connections };
}

/** Own way and bare pair, whichever is first. */
async function inTurns(
  { own, bare }: Parties,
  count: number,
  order: readonly (string | number)[],
): Promise<readonly Turn[]> {
  const turns: Turn[] = [];
  while (turns.length < count) {
    if (Math.random() < 0.5) turns.push({ own: await work(own, order), bare: await work(bare, order) });
    else turns.push({ bare: await work(bare, order), own: await work(own, order) });
  }
  return turns;
}

async function work(client: OrderedClient, order: readonly (string | number)[]): Promise<Worked> {
  const before = machineSeconds();
  const done = await client.order(...order);
  return { ...done, processorSeconds: machineSeconds() - before };
}

/** How many times what the bare pair took each byte or connection took, of all turns together. */
function ratio(turns: readonly Turn[], figure: 'seconds' | 'processorSeconds'): string {
  const each = (side: keyof Turn): number =>
    sum(turns.map((turn) => turn[side][figure])) / sum(turns.map((turn) => turn[side].count));
  return `${(each('own') / each('bare')).toFixed(2)} x`;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function bySecond({ count, seconds }: Done): number {
  return count / seconds;
}

/** Denied ranges, none of which is looked for: the host that is asked stands behind all of them. */
function ranges(count: number): EgressPolicy {
  return { ...OPEN, deny: Array.from({ length: count }, (_, index) => `${toDotted(2 ** 24 + index * 512)}/24`) };
}

function print(results: ReadonlyMap<string, readonly Measured[]>, changes: ReadonlyMap<string, Samples>): void {
  const rates = [`conn/s, ${FEW}`, 'bare / it', 'work', `${MANY} at once`, 'bare / it', 'work'];
  console.log(row(['', 'MB/s', 'bare / it', ...rates, 'proxy us', 'change ms']));
  for (const kind of ['plain', 'tls'] as const) {
    const cases = CASES.filter((one) => one.kind === kind);
    const turnsOf = (labels: readonly string[], figure: Figure): readonly Turn[] =>
      labels.flatMap((label) => results.get(label)!).flatMap(({ turns }) => turns[figure]);
    const all = cases.map(({ label }) => label);
    const rate = (figure: Figure, turns: readonly Turn[], side: keyof Turn): string =>
      (median(turns.map((turn) => bySecond(turn[side]))) / (figure === 'bytes' ? 1e6 : 1)).toFixed(0);
    const bare = (figure: Figure): string => rate(figure, turnsOf(all, figure), 'bare');
    console.log(row([kind === 'tls' ? 'bare, TLS' : 'bare', bare('bytes'), '', bare('few'), '', '', bare('many')]));
    for (const { label, way } of cases) {
      const columns = (figure: Figure): readonly string[] => {
        const turns = turnsOf([label], figure);
        const work = figure === 'bytes' ? [] : [ratio(turns, 'processorSeconds')];
        return [rate(figure, turns, 'own'), ratio(turns, 'seconds'), ...work];
      };
      const change = way === 'haproxy' ? '' : changes.get(label)!.median.toFixed(0);
      const hasProxy = way === byName || way === 'haproxy';
      const seconds = results.get(label)!.map(({ proxySeconds }) => proxySeconds);
      const proxy = hasProxy ? (1e6 * median(seconds)).toFixed(0) : '';
      console.log(row([label, ...columns('bytes'), ...columns('few'), ...columns('many'), proxy, change]));
    }
  }
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(16) : cell.padStart(11))).join('');
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
