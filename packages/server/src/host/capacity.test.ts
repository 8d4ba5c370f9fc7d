import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { Capacity } from './capacity.ts';

const MIB = 1024 * 1024;
const exhausted = { code: 'capacity_exhausted' };

function capacityOf(megabytes: number): Capacity {
  return new Capacity({ directory: tmpdir(), availableMemory: () => megabytes * MIB });
}

test('starts that go on at once do not count on the same memory', () => {
  const capacity = capacityOf(300);
  const starts = [capacity.reserve(), capacity.reserve(), capacity.reserve()];
  assert.throws(() => capacity.reserve(), {
    ...exhausted,
    message: 'the machine is full: its memory has 108 MiB left, 128 MiB are needed',
  });
  starts.pop()![Symbol.dispose]();
  capacity.reserve()[Symbol.dispose]();
});

test('what comes back from a snapshot has to have room, and has it kept', () => {
  const capacity = capacityOf(1000);
  assert.throws(() => capacity.reserve(900 * MIB), exhausted);
  const large = capacity.reserve(700 * MIB);
  capacity.reserve()[Symbol.dispose]();
  assert.throws(() => capacity.reserve(300 * MIB), exhausted);
  large[Symbol.dispose]();
  capacity.reserve(300 * MIB)[Symbol.dispose]();
});

test('what is made ahead of time leaves room for what is asked for', () => {
  const capacity = capacityOf(300);
  assert.throws(() => capacity.reserveAhead(), exhausted);
  capacity.reserve()[Symbol.dispose]();
  capacityOf(400).reserveAhead()[Symbol.dispose]();
});

test('a disk has to have room for what is about to be written', () => {
  const capacity = capacityOf(300);
  capacity.assertDisk();
  assert.throws(() => capacity.assertDisk(Number.MAX_SAFE_INTEGER), { ...exhausted, message: /its disk has \d+ MiB/ });
});
