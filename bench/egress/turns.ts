// Two clients with the same orders, in turns.
import { cpuSeconds, machineSeconds } from '../gateway/processes.ts';
import type { Done, OrderedClient } from './ordered-client.ts';

/** Takes as long as the turn of another figure. */
const BYTES = 250_000_000;
/** New connections under way at once: how long one takes counts with few, with many what the processors can do. */
export const FEW = 8;
export const MANY = 100;
/** Of one turn. What the machine can do differs by half within a minute: many short turns see the same of it. */
const SECONDS = 0.2;
/** Of each side, in one round. */
const TURNS = { bytes: 4, few: 16, many: 16 };

export type Figure = keyof typeof TURNS;

export interface Parties {
  readonly own: OrderedClient;
  readonly bare: OrderedClient;
  /** Between own client and server. */
  readonly proxy: readonly number[];
}

export interface Worked extends Done {
  /** Processor time of all that took part: client, server, proxy and kernel. */
  readonly processorSeconds: number;
}

/** The same order to both, one after the other. */
export interface Turn {
  readonly own: Worked;
  readonly bare: Worked;
}

export interface Measured {
  readonly turns: Readonly<Record<Figure, readonly Turn[]>>;
  /** For a connection, with many at once. */
  readonly proxySeconds: number;
}

export async function measure(parties: Parties): Promise<Measured> {
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
export function ratio(turns: readonly Turn[], figure: 'seconds' | 'processorSeconds'): number {
  const each = (side: keyof Turn): number =>
    sum(turns.map((turn) => turn[side][figure])) / sum(turns.map((turn) => turn[side].count));
  return each('own') / each('bare');
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
