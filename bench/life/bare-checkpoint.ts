// The peer: checkpoint and restore of runsc by its command line, of the same program in the same image, with nothing of
// Sandport around it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSlots, INSIDE_ADDRESS, removeSlot } from '@sandport/server/host/network/slot';
import { HIDE_SYSCTL_NET, PAST_CACHE_FLAG, SAVE_FLAGS } from '@sandport/server/host/runtime/runsc';
import { answers, config, FLAGS, names } from '../create/bare-container.ts';
import { holdingServer } from './program.ts';

export interface BareTimes {
  /** Milliseconds of the checkpoint, and from the start of the restore to the first answer. */
  readonly checkpoint: number;
  readonly restore: number;
}

export async function bareTimes(rootfs: string, megabytes: number): Promise<BareTimes> {
  const directory = await mkdtemp(join(tmpdir(), 'sandport-bench-'));
  const image = join(directory, 'image');
  await mkdir(image);
  const args = ['/usr/local/bin/node', ...holdingServer(megabytes)];
  try {
    await started('run', [], join(directory, 'first'), rootfs, args);
    const flags = [...SAVE_FLAGS.filter((flag) => flag !== '--leave-running'), PAST_CACHE_FLAG];
    const before = performance.now();
    await runsc(join(directory, 'first'), ['checkpoint', '--image-path', image, ...flags, 'bare']);
    const checkpoint = performance.now() - before;
    await end(join(directory, 'first'));
    const restore = await started('restore', ['--image-path', image], join(directory, 'second'), rootfs, args);
    return { checkpoint, restore };
  } finally {
    await end(join(directory, 'first'));
    await end(join(directory, 'second'));
    await rm(directory, { recursive: true, force: true });
  }
}

/** Milliseconds from the start of the runtime to the first answer. */
async function started(
  verb: 'run' | 'restore',
  flags: readonly string[],
  bundle: string,
  rootfs: string,
  args: readonly string[],
): Promise<number> {
  await mkdir(bundle);
  const [slot] = await createSlots(names, [{ index: 0, address: INSIDE_ADDRESS }]);
  await writeFile(join(bundle, 'hosts'), '127.0.0.1 localhost bare\n');
  await writeFile(join(bundle, 'config.json'), JSON.stringify(config(rootfs, bundle, args, slot!)));
  const before = performance.now();
  await runsc(bundle, [verb, '--detach', ...flags, '--bundle', bundle, 'bare']);
  while (!(await answers())) await delay(2);
  return performance.now() - before;
}

async function end(bundle: string): Promise<void> {
  await runsc(bundle, ['delete', '--force', 'bare']).catch(() => {});
  await removeSlot(names, 0);
}

async function runsc(bundle: string, args: readonly string[]): Promise<void> {
  const flags = ['--root', join(bundle, 'state'), ...FLAGS.runsc, '--net-disconnect-ok'];
  const [file, ...rest] = [...HIDE_SYSCTL_NET, 'runsc', ...flags, ...args];
  const child = spawn(file!, rest, { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`runsc ${args[0]} ended with code ${code}`);
}
