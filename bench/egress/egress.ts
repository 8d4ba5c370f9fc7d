// Throughput and new connections of a slot under rules of each kind, beside a bare veth pair with masquerade, and with
// HAProxy for rules by name.
import { mkdir, mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readInstallation } from '@sandport/server/host/image/installation';
import { Egress } from '@sandport/server/host/network/egress';
import { createSlots, removeSlot, slotNames } from '@sandport/server/host/network/slot';
import { runCommand } from '@sandport/server/host/run-command';
import { findProcesses } from '@sandport/server/process-identity';
import { Outside } from '../../test/support/outside.ts';
import { enterOwnNetwork } from '../../test/support/own-network.ts';
import { Samples } from '../support/samples.ts';
import { wantedParts } from '../support/wanted-parts.ts';
import { BareNamespace } from './bare-namespace.ts';
import { CASES, GROUPS, type Group, NAME, PLACES } from './cases.ts';
import { inContainers, onMachine } from './clients.ts';
import { startHaproxy } from './haproxy.ts';
import { printTable, type Result } from './table.ts';
import { measure } from './turns.ts';

const NAMES = slotNames('bench2');
/** The last block; a Sandport that runs beside takes others first. */
const BLOCK = '198.19.248.0/21';

export async function benchmarkEgress(options: {
  readonly rounds: number;
  /** Places of clients; none: all. */
  readonly only: readonly string[];
  readonly signal: AbortSignal;
}): Promise<void> {
  const { rounds, only, signal } = options;
  const wanted = wantedParts(only, PLACES);
  const groups = GROUPS.filter(({ place }) => wanted(place));
  const slots = groups.map((_, index) => ({ index, address: `198.19.248.${index + 1}` }));

  enterOwnNetwork();
  // Which a network has of its own.
  await runCommand('sysctl', ['-qw', 'net.ipv4.ip_forward=1']);
  await using outside = await Outside.open();
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
  await egress.install([]);
  for (const { index } of slots) {
    await removeSlot(NAMES, index);
    cleanup.defer(() => removeSlot(NAMES, index));
  }
  await createSlots(NAMES, slots);
  await egress.addSlots(slots);
  const proxied = cleanup.use(await BareNamespace.open(groups.length));
  await forgetAtOnce(outside);

  const socketPath = join(directory.path, 'egress.sock');
  const ownProxy = findProcesses((args) => args.includes(socketPath)).map(({ pid }) => pid);
  const host = outside.hosts[0];
  await using haproxy = await startHaproxy(proxied, { directory: directory.path, host, name: NAME });
  await using clients = new AsyncDisposableStack();
  const { base } = await readInstallation();
  const made = { rootfs: base.image.rootfs, directory: directory.path };
  const start = {
    machine: onMachine(clients),
    runc: inContainers(clients, 'runc', made),
    runsc: inContainers(clients, 'runsc', made),
  };
  const open = async (group: Group, index: number) => {
    const bare = cleanup.use(await BareNamespace.open(index));
    const startIn = (namespace: string) => start[group.place](namespace, [host, group.kind, NAME]);
    return {
      address: slots[index]!.address,
      slot: await startIn(`${NAMES.namespacePrefix}${index}`),
      bare: await startIn(bare.name),
      haproxy: group.place === 'machine' ? await startIn(proxied.name) : undefined,
    };
  };
  const sides = new Map<Group, Awaited<ReturnType<typeof open>>>();
  for (const [index, group] of groups.entries()) sides.set(group, await open(group, index));

  const cases = CASES.filter(({ group }) => sides.has(group));
  const results = new Map(cases.map((one): [typeof one, Result] => [one, { changes: new Samples(), measured: [] }]));
  // The first round is not counted.
  for (let round = 0; round <= rounds; round++) {
    for (const [{ label, group, way }, result] of results) {
      signal.throwIfAborted();
      const side = sides.get(group)!;
      const started = performance.now();
      if (typeof way === 'object') await egress.set(side.address, way);
      const change = performance.now() - started;
      const own =
        way === 'haproxy' ? { own: side.haproxy!, proxy: [haproxy.pid] } : { own: side.slot, proxy: ownProxy };
      const measured = await measure({ ...own, bare: side.bare }).catch((error: Error) => {
        throw new Error(`${group.place}, ${group.kind}, ${label}: ${error.message}`, { cause: error });
      });
      if (round === 0) continue;
      result.changes.add(change);
      result.measured.push(measured);
    }
  }
  printTable(results);
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
