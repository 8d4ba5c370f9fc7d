// A slot: a network namespace with one veth pair, lent to one sandbox. Inside, every slot looks the same.
import { writeFile } from 'node:fs/promises';
import { runCommand } from '../run-command.ts';

/** Address of every sandbox as it sees itself, and of what it sees as its neighbour. */
export const INSIDE_ADDRESS = '169.254.0.21';
export const NEIGHBOUR_ADDRESS = '169.254.0.22';
const PREFIX_LENGTH = 30;
/** Of the machine's side of slots that are cut off; any that nobody else uses. */
export const CUT_GROUP = 21_328;

export interface Slot {
  readonly index: number;
  /** The address by which the machine reaches the sandbox. */
  readonly address: string;
  readonly namespacePath: string;
}

/** Names of what belongs to one instance. Interface names have at most 15 characters (IFNAMSIZ). */
export interface SlotNames {
  readonly namespacePrefix: string;
  readonly interfacePrefix: string;
}

/** @param instance at most 6 characters of a-z0-9 */
export function slotNames(instance: string): SlotNames {
  return { namespacePrefix: `sandport-${instance}-`, interfacePrefix: `sp${instance}-` };
}

/** Makes slots in as few processes as there can be: one for the machine's side of all, one for each inner side. */
export async function createSlots(
  names: SlotNames,
  wanted: readonly { index: number; address: string }[],
): Promise<Slot[]> {
  const lines = wanted.flatMap(({ index, address }) => {
    const namespace = names.namespacePrefix + index;
    const device = names.interfacePrefix + index;
    return [
      `netns add ${namespace}`,
      `link add ${device} type veth peer name eth0 netns ${namespace}`,
      `link set ${device} up`,
      `address add ${NEIGHBOUR_ADDRESS}/32 dev ${device}`,
      `route add ${address}/32 dev ${device}`,
    ];
  });
  await runCommand('ip', ['-batch', '-'], { input: `${lines.join('\n')}\n` });
  return Promise.all(
    wanted.map(async ({ index, address }) => {
      await quietNeighbour(names.interfacePrefix + index);
      const namespace = names.namespacePrefix + index;
      await runCommand('ip', ['-n', namespace, '-batch', '-'], {
        input: [
          'link set lo up',
          `address add ${INSIDE_ADDRESS}/${PREFIX_LENGTH} dev eth0`,
          'link set eth0 up',
          `route add default via ${NEIGHBOUR_ADDRESS}`,
          '',
        ].join('\n'),
      });
      return { index, address, namespacePath: `/run/netns/${namespace}` };
    }),
  );
}

/**
 * Has the machine speak ARP of the device's own address only: by default it answers for all that it has, and asks under
 * any (Documentation/networking/ip-sysctl.rst, arp_ignore and arp_announce).
 */
async function quietNeighbour(device: string): Promise<void> {
  const directory = `/proc/sys/net/ipv4/conf/${device}`;
  try {
    await writeFile(`${directory}/arp_ignore`, '1');
    await writeFile(`${directory}/arp_announce`, '2');
  } catch (error) {
    // A container's /proc/sys may be read-only. Nothing is reached by what a sandbox learns then.
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
  }
}

/** Lets any process of the namespace bind low ports and ping, as root in a user namespace has no capability over it. */
export async function relaxSlot(slot: Slot): Promise<void> {
  await runCommand('nsenter', [
    `--net=${slot.namespacePath}`,
    'sysctl',
    '-qw',
    'net.ipv4.ip_unprivileged_port_start=0',
    'net.ipv4.ping_group_range=0 2147483647',
  ]);
}

/** Cuts a slot off: from now on everything that the sandbox sends is refused. */
export function cutSlot(names: SlotNames, index: number): Promise<void> {
  return setGroup(names.interfacePrefix + index, CUT_GROUP);
}

/** Undoes `cutSlot`. No change to a slot that was not cut. */
export function mendSlot(names: SlotNames, index: number): Promise<void> {
  return setGroup(names.interfacePrefix + index, 0);
}

/** The packet filter has rules for the group: a device is put into one in no time, where a change of rules takes a process. */
async function setGroup(device: string, group: number): Promise<void> {
  try {
    await writeFile(`/sys/class/net/${device}/netdev_group`, String(group));
  } catch {
    // A container's /sys may be read-only.
    await runCommand('ip', ['link', 'set', device, 'group', String(group)]);
  }
}

/** Removes a slot; its veth pair and routes go with the namespace. No error when it is gone. */
export async function removeSlot(names: SlotNames, index: number): Promise<void> {
  // The pair is removed first: a namespace that a dying process still holds would keep it, and its route, alive.
  const background = { background: true };
  await runCommand('ip', ['link', 'delete', names.interfacePrefix + index], background).catch(() => {});
  await runCommand('ip', ['netns', 'delete', names.namespacePrefix + index], background).catch(() => {});
}

/** Indices of the slots of this instance that the machine has. */
export async function listSlots(names: SlotNames): Promise<number[]> {
  const text = await runCommand('ip', ['-json', 'netns', 'list']);
  const all = (text.trim() === '' ? [] : JSON.parse(text)) as { name: string }[];
  return all
    .filter(({ name }) => name.startsWith(names.namespacePrefix))
    .map(({ name }) => Number(name.slice(names.namespacePrefix.length)))
    .filter(Number.isInteger);
}
