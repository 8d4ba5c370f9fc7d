// What the packet filter refused of late, by destination.
import { nft } from './nft.ts';

export interface DeniedPackets {
  /** Of the slot. */
  readonly from: string;
  readonly address: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
  /** Packets; of TCP one a try. A lower bound: only some are looked at when there are many. */
  readonly count: number;
  /** Milliseconds since 1970, of the last one. */
  readonly at: number;
}

interface Element {
  readonly val: { readonly concat: readonly [string, string, string, number] };
  /** Seconds. */
  readonly expires: number;
  readonly counter?: { readonly packets: number };
}

const MAX_OUTPUT = 32 * 1024 * 1024;
/** Seconds for which a denial is remembered, as the set has it. */
export const DENIAL_LIFETIME = 300;

/** @throws CommandError when the table is not there */
export async function readDeniedPackets(table: string, from: string): Promise<DeniedPackets[]> {
  const text = await nft(['-j', 'list', 'set', 'inet', table, 'denials'], { maxOutput: MAX_OUTPUT });
  const { nftables } = JSON.parse(text) as { nftables: { set?: { elem?: { elem: Element }[] } }[] };
  return (nftables.find(({ set }) => set !== undefined)?.set?.elem ?? [])
    .map(({ elem }) => elem)
    .filter(({ val }) => val.concat[0] === from)
    .map(({ val: { concat }, expires, counter }) => ({
      from,
      address: concat[1],
      protocol: concat[2] === 'udp' ? 'udp' : 'tcp',
      port: concat[3],
      count: counter?.packets ?? 1,
      at: Date.now() - 1000 * (DENIAL_LIFETIME - expires),
    }));
}
