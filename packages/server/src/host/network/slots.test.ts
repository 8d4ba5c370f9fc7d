import assert from 'node:assert/strict';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { SLOTS_PER_BLOCK, takeAddressBlock } from './address-block.ts';
import type { Egress } from './egress.ts';
import { listSlots, slotNames } from './slot.ts';
import { Slots } from './slots.ts';

const needsRoot = { skip: process.getuid?.() === 0 ? false : 'makes network namespaces: needs root' };

test('a slot is given back by its owner alone, however often', needsRoot, async () => {
  await using cleanup = new AsyncDisposableStack();
  const data = cleanup.use(await mkdtempDisposable(join(tmpdir(), 'sandport-slots-')));
  // Servers of other tests have addresses meanwhile.
  const block = await takeAddressBlock('/run/sandport/blocks', data.path);
  cleanup.defer(() => block.release());
  const names = slotNames(`t${process.pid % 10_000}`);
  let removed = 0;
  const egress = { addSlots: async () => {}, removeSlot: async () => void removed++ } as unknown as Egress;
  const options = { names, block, egress, ready: 0, relaxed: false, bandwidthMbit: undefined };
  const slots = new Slots({ ...options, onError: (event, error) => assert.fail(`${event}: ${error}`) });
  // All but two are in use, so that what is given back is lent out again at once.
  const used = Array.from({ length: SLOTS_PER_BLOCK - 2 }, (_, at) => ({
    index: at + 2,
    address: '',
    owner: 'others',
  }));
  slots.mend = async () => {};
  await slots.keepOnly(used);
  const [first, second] = [await slots.take('one'), await slots.take('two')];
  try {
    await Promise.all([slots.remove(first.index, 'one'), slots.remove(first.index, 'one')]);
    assert.equal(removed, 1, 'at once it is done once');
    const third = await slots.take('three');
    assert.equal(third.index, first.index);
    await slots.remove(first.index, 'one');
    assert.deepEqual((await listSlots(names)).sort(), [first.index, second.index].sort());
    await slots.remove(first.index, 'three');
    await slots.remove(first.index, 'three');
    await slots.remove(2, 'one');
    assert.equal(removed, 2);
    assert.equal((await slots.take('four')).index, first.index);
    await assert.rejects(slots.take('five'), /all \d+ slots are in use/);
  } finally {
    await slots.remove(first.index, 'four');
    await slots.remove(second.index, 'two');
  }
  assert.deepEqual(await listSlots(names), []);
});
