// What the packet filter counted of each slot.
import { nft } from './nft.ts';

export interface SlotTraffic {
  readonly connections: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Packets that were refused: of TCP one a try. */
  readonly denied: number;
}

interface Counter {
  readonly name: string;
  readonly packets: number;
  readonly bytes: number;
}

/** @throws CommandError when the table is not there */
export async function readTraffic(table: string): Promise<Map<number, SlotTraffic>> {
  const text = await nft(['-j', 'list', 'counters', 'table', 'inet', table], { maxOutput: 16_777_216 });
  const traffic = new Map<number, { -readonly [Key in keyof SlotTraffic]: SlotTraffic[Key] }>();
  for (const { counter } of (JSON.parse(text) as { nftables: { counter?: Counter }[] }).nftables) {
    const [kind, number] = counter?.name.split('_') ?? [];
    if (counter === undefined || number === undefined) continue;
    const index = Number(number);
    const slot = traffic.get(index) ?? { connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 };
    traffic.set(index, slot);
    if (kind === 'connections') slot.connections = counter.packets;
    else if (kind === 'sent') slot.sentBytes = counter.bytes;
    else if (kind === 'received') slot.receivedBytes = counter.bytes;
    else if (kind === 'denied') slot.denied = counter.packets;
  }
  return traffic;
}
