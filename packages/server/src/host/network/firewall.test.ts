import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { toDotted } from '../../egress/address-ranges.ts';
import { type EgressPolicy, OPEN } from './egress-policy.ts';
import { Firewall } from './firewall.ts';

const PORTS = { dns: 5353, proxy: 5354 };
const needsRoot = { skip: process.getuid?.() === 0 ? false : 'changes the packet filter: needs root' };

function listTable(table: string): string {
  return execFileSync('nft', ['list', 'table', 'inet', table], { encoding: 'utf8' });
}

/** A table that no packet meets, as no interface has its prefix. */
function openFirewall(name: string) {
  const table = `sandport_test_${name}_${process.pid}`;
  const options = {
    table,
    interfacePrefix: `spt${name}-`,
    blockCidr: '198.19.248.0/21',
    permitted: [],
    maxConnections: undefined,
    nameservers: ['192.0.2.53', '2001:db8::53', 'fe80::53%eth0', 'fe80::53%eth1', 'fe80::1%} }'],
    egressUid: 60_578,
  };
  return { table, firewall: new Firewall(options) };
}

test('a slot that is removed leaves nothing in the table', needsRoot, async () => {
  const { table, firewall } = openFirewall('a');
  await firewall.install([], PORTS);
  try {
    const empty = listTable(table);
    assert.match(empty, /set nameservers6 \{\s+type ipv6_addr\s+elements = \{ 2001:db8::53,\s+fe80::1,\s+fe80::53 \}/);
    const slot = { index: 7, address: '198.19.248.8' };
    await firewall.addSlots([slot]);
    await firewall.setEgress(slot.address, { ...OPEN, domains: ['*'], allow: ['192.0.2.1/32'], deny: ['0.0.0.0/0'] });
    assert.match(listTable(table), /192\.0\.2\.1/);
    await firewall.removeSlot(slot);
    assert.equal(listTable(table), empty);
    await assert.rejects(firewall.setEgress(slot.address, OPEN), /no slot/);
    await firewall.addSlots([slot]);
    assert.deepEqual((await firewall.traffic()).get(7), { connections: 0, sentBytes: 0, receivedBytes: 0, denied: 0 });
  } finally {
    await firewall.remove();
  }
  assert.throws(() => listTable(table));
});

test('rules are replaced whole, also by none, and there may be ten thousand', needsRoot, async () => {
  const { table, firewall } = openFirewall('b');
  const slot = { index: 0, address: '198.19.248.1' };
  await firewall.install([], PORTS);
  try {
    await firewall.addSlots([slot]);
    const open = listTable(table);
    const many = Array.from({ length: 10_000 }, (_, index) => `${toDotted(2 ** 24 + index * 512)}/24`);
    await firewall.setEgress(slot.address, { ...OPEN, allow: many, deny: ['0.0.0.0/0'] });
    const ranges = (text: string): number => text.match(/\.0\/24/g)?.length ?? 0;
    assert.equal(ranges(listTable(table)) - ranges(open), 10_000, 'once for both directions');
    await firewall.setEgress(slot.address, OPEN);
    const unmarked = (text: string): string => text.replaceAll(/ mark (set )?0x[0-9a-f]{8}/g, ' mark');
    assert.equal(unmarked(listTable(table)), unmarked(open));
    assert.notEqual(listTable(table), open, 'what has passed is held against them');
  } finally {
    await firewall.remove();
  }
});

test(
  'a table that is put in force again has the rules and the counters of the slots that stay',
  needsRoot,
  async () => {
    const { table, firewall } = openFirewall('c');
    const slot = { index: 3, address: '198.19.248.4' };
    const egress = { ...OPEN, deny: ['192.0.2.0/24'] };
    await firewall.install([{ ...slot, egress }], PORTS);
    try {
      execFileSync('nft', ['-f', '-'], {
        input: `delete rule inet ${table} send_3 handle ${handleOf(table, 'sent_3')}
delete counter inet ${table} sent_3
add counter inet ${table} sent_3 { packets 1 bytes 12345 \n}\n`,
      });
      await firewall.install([{ ...slot, egress }], PORTS);
      assert.match(listTable(table), /192\.0\.2\.0\/24 goto denied_3/);
      assert.equal((await firewall.traffic()).get(3)?.sentBytes, 12_345);
    } finally {
      await firewall.remove();
    }
  },
);

test('a table that somebody has removed is put in force again, with all rules', needsRoot, async () => {
  const { table, firewall } = openFirewall('d');
  const slots = [2, 5, 6].map((index) => ({ index, address: `198.19.248.${index + 1}` }));
  const deny = (range: string): EgressPolicy => ({ ...OPEN, deny: [range] });
  await firewall.install([{ ...slots[0]!, egress: deny('192.0.2.0/24') }], PORTS);
  try {
    assert.equal(await firewall.reinstallIfGone(), false);
    await firewall.addSlots(slots.slice(1));
    await firewall.setEgress(slots[1]!.address, deny('198.51.100.0/24'));
    await firewall.setPorts({ dns: 5355, proxy: 5356 });
    const remove = (): void => void execFileSync('nft', ['delete', 'table', 'inet', table]);
    remove();
    // Side by side: both change what is there once it is there again.
    await Promise.all([
      firewall.reinstallIfGone(),
      firewall.removeSlot(slots[2]!),
      firewall.setEgress(slots[0]!.address, deny('203.0.113.0/24')),
    ]);
    const text = listTable(table);
    assert.match(text, /203\.0\.113\.0\/24 goto denied_2/);
    assert.match(text, /198\.51\.100\.0\/24 goto denied_5/);
    assert.match(text, /redirect to :5356/);
    assert.doesNotMatch(text, /denied_6|192\.0\.2\.0\/24 goto denied/);
    remove();
    await firewall.setEgress(slots[1]!.address, deny('203.0.113.0/24'));
    assert.match(listTable(table), /203\.0\.113\.0\/24 goto denied_2[\s\S]*203\.0\.113\.0\/24 goto denied_5/);
    assert.equal(await firewall.reinstallIfGone(), false);
  } finally {
    await firewall.remove();
  }
});

function handleOf(table: string, counter: string): string {
  const text = execFileSync('nft', ['-a', 'list', 'chain', 'inet', table, 'send_3'], { encoding: 'utf8' });
  return new RegExp(`counter name "${counter}" # handle (\\d+)`).exec(text)![1]!;
}
