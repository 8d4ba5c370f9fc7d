import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtempDisposable, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { SLOTS_PER_BLOCK, takeAddressBlock } from './address-block.ts';

const prefix = join(tmpdir(), 'sandport-blocks-');
const module = new URL('address-block.ts', import.meta.url).href;
const ALL = 64;

/** Data directories, which are there. */
async function makeOwners(root: string, count: number, name = 'owner'): Promise<string[]> {
  const owners = Array.from({ length: count }, (_, index) => join(root, `${name}-${index}`));
  for (const owner of owners) await mkdir(owner);
  return owners;
}

test('a block is a part of the range for benchmarking, and its slots are addresses within', async () => {
  await using root = await mkdtempDisposable(prefix);
  const [owner] = await makeOwners(root.path, 1);
  const block = await takeAddressBlock(join(root.path, 'registry'), owner!);
  const [, second, third] = /^198\.(18|19)\.(\d+)\.0\/21$/.exec(block.cidr) ?? assert.fail(block.cidr);
  assert.equal(Number(third) % 8, 0);
  assert.equal(block.addressOf(0), `198.${second}.${third}.1`);
  assert.equal(block.addressOf(SLOTS_PER_BLOCK - 1), `198.${second}.${Number(third) + 7}.254`);
  for (const index of [-1, 0.5, SLOTS_PER_BLOCK]) assert.throws(() => block.addressOf(index), RangeError);
});

test('every owner has a block of its own until all are taken, and each gets its own again', async () => {
  await using root = await mkdtempDisposable(prefix);
  const registry = join(root.path, 'registry');
  const owners = await makeOwners(root.path, ALL + 1);
  const last = owners.pop()!;
  const blocks = await Promise.all(owners.map((owner) => takeAddressBlock(registry, owner)));
  assert.equal(new Set(blocks.map(({ cidr }) => cidr)).size, ALL);
  for (const [index, owner] of owners.entries()) {
    assert.equal((await takeAddressBlock(registry, owner)).cidr, blocks[index]!.cidr);
  }
  await assert.rejects(takeAddressBlock(registry, last), /all 64 address blocks are taken/);
});

test('a block that was given back is for another', async () => {
  await using root = await mkdtempDisposable(prefix);
  const registry = join(root.path, 'registry');
  const owners = await makeOwners(root.path, ALL + 1);
  const last = owners.pop()!;
  const blocks = await Promise.all(owners.map((owner) => takeAddressBlock(registry, owner)));
  await blocks[5]!.release();
  assert.equal((await takeAddressBlock(registry, last)).cidr, blocks[5]!.cidr);
});

test('the block of an owner whose directory is gone is taken over, by one only', async () => {
  await using root = await mkdtempDisposable(prefix);
  const registry = join(root.path, 'registry');
  const owners = await makeOwners(root.path, ALL);
  const blocks = await Promise.all(owners.map((owner) => takeAddressBlock(registry, owner)));
  for (const owner of owners.slice(0, 8)) await rm(owner, { recursive: true });
  const next = await makeOwners(root.path, 8, 'next');
  const taken = await Promise.all(next.map((owner) => takeAddressBlock(registry, owner)));
  const cidrs = (list: typeof blocks): string[] => list.map(({ cidr }) => cidr).sort();
  assert.deepEqual(cidrs(taken), cidrs(blocks.slice(0, 8)));
});

test('a block whose owner died while taking it is not lost', async () => {
  await using root = await mkdtempDisposable(prefix);
  const registry = join(root.path, 'registry');
  for (let number = 0; number < ALL; number++) await mkdir(join(registry, String(number)), { recursive: true });
  const owners = await makeOwners(root.path, 2);
  const [one, two] = await Promise.all(owners.map((owner) => takeAddressBlock(registry, owner)));
  assert.notEqual(one!.cidr, two!.cidr);
});

test('processes that come at once take different blocks', async () => {
  await using root = await mkdtempDisposable(prefix);
  const registry = join(root.path, 'registry');
  const owners = await makeOwners(root.path, 6);
  const program = `
    const { takeAddressBlock } = await import(${JSON.stringify(module)});
    console.log((await takeAddressBlock(process.argv[1], process.argv[2])).cidr);
  `;
  const results = owners.map(async (owner) => {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', program, registry, owner], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    assert.equal(code, 0);
    return output;
  });
  assert.equal(new Set(await Promise.all(results)).size, owners.length);
});
