// Bounds the bandwidth of a slot: a token bucket at each end of its veth pair (tc-tbf(8)).
import { runCommand } from '../run-command.ts';
import type { Slot, SlotNames } from './slot.ts';

/** @param mbit megabits a second in each direction */
export async function shapeSlot(names: SlotNames, slot: Slot, mbit: number): Promise<void> {
  // A bucket that holds what comes in 10 ms, and at least one packet of the largest size that a veth pair passes.
  const burst = Math.max(65_536, Math.ceil((mbit * 1_000_000) / 8 / 100));
  const bucket = ['root', 'tbf', 'rate', `${mbit}mbit`, 'burst', String(burst), 'latency', '100ms'];
  await Promise.all([
    runCommand('tc', ['qdisc', 'replace', 'dev', names.interfacePrefix + slot.index, ...bucket]),
    runCommand('tc', ['-n', names.namespacePrefix + slot.index, 'qdisc', 'replace', 'dev', 'eth0', ...bucket]),
  ]);
}
