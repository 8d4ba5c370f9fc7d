// What idle and paused sandboxes take of memory and disk.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { readUsage } from '@sandport/server/host/usage';
import { Sandbox } from 'sandport';
import { SandportServer } from '../../test/support/sandport-server.ts';
import { untilIdle } from '../create/until-idle.ts';
import { atOnce } from './at-once.ts';
import type { LifeOptions } from './life.ts';

const COUNT = 100;
const WIDTH = 4;
const MB = 1024 ** 2;
/** Until what a start leaves to be cleared away has been. */
const SETTLE_MS = 5000;

export async function measureMemory({ signal }: LifeOptions): Promise<void> {
  const server = await SandportServer.start('runsc', ['--warm', '0']);
  const sandboxes: Sandbox[] = [];
  try {
    await untilIdle(server.data, 0);
    const before = await taken();
    while (sandboxes.length < COUNT) {
      signal.throwIfAborted();
      const options = { ...server.options, timeoutMs: 3_600_000 };
      sandboxes.push(...(await atOnce(WIDTH, () => Sandbox.create(options))).values);
    }
    await delay(SETTLE_MS);
    const idle = (await taken()) - before;
    const charged = await chargedBytes(server);
    const disks = await bytesUnder(join(server.data, 'disks'));
    console.log(`memory: ${COUNT} sandboxes in which nothing has run, runsc, MiB\n`);
    print('idle, each: what the machine has less', idle / COUNT);
    print('idle, each: what its control group is charged for', charged / COUNT);
    print(`idle, all ${COUNT}: what the machine has less`, idle);
    print('idle, each: its own disk', disks / COUNT);
    for (let index = 0; index < COUNT; index += WIDTH) {
      signal.throwIfAborted();
      await atOnce(WIDTH, (offset) => sandboxes[index + offset]!.pause());
    }
    await untilIdle(server.data, 0);
    await delay(SETTLE_MS);
    const paused = (await taken()) - before;
    const snapshots = await bytesUnder(join(server.data, 'snapshots'));
    print('paused, each: what the machine has less', paused / COUNT);
    print('paused, each: snapshot on the disk', snapshots / COUNT);
    console.log('What the machine has less includes what all else on it took meanwhile.\n');
  } finally {
    // Those that are paused would outlive the server.
    await Promise.allSettled(sandboxes.map((sandbox) => sandbox.kill()));
    for (const line of await server.stop()) console.error(`left behind: ${line}`);
  }
}

function print(title: string, bytes: number): void {
  console.log(`  ${title.padEnd(54)}${(bytes / MB).toFixed(1).padStart(9)}`);
}

/** Bytes of the machine's memory that are not available. */
async function taken(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]);
  return (kilobytes('MemTotal') - kilobytes('MemAvailable')) * 1024;
}

async function chargedBytes(server: SandportServer): Promise<number> {
  let bytes = 0;
  for (const container of await readdir(join(server.data, 'bundles'))) {
    bytes += (await readUsage(`/sandport/${server.instance}/${container}`, '/')).memoryBytes;
  }
  return bytes;
}

/** Of all files, holes not counted; what is mounted there belongs to other file systems. */
async function bytesUnder(directory: string): Promise<number> {
  const { dev } = await stat(directory);
  let bytes = 0;
  for (const entry of await readdir(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    const status = await stat(path);
    if (status.dev !== dev) continue;
    bytes += entry.isDirectory() ? await bytesUnder(path) : status.blocks * 512;
  }
  return bytes;
}
