// The peer: checkpoint and restore of runsc by its command line, of the same processes in the same image, with nothing of
// Sandport around them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Installation } from '@sandport/server/host/image/installation';
import { createSlots, INSIDE_ADDRESS, removeSlot } from '@sandport/server/host/network/slot';
import { agentArguments } from '@sandport/server/host/runtime/agent-process';
import { HIDE_SYSCTL_NET, PAST_CACHE_FLAG, SAVE_FLAGS } from '@sandport/server/host/runtime/runsc';
import { agentMounts } from '../create/bare-agent.ts';
import { answers, type BareBundle, FLAGS, names, writeBundle } from '../support/bare-container.ts';
import { holdingServer } from './program.ts';

export interface BareTimes {
  /** Milliseconds of the checkpoint, and from the start of the restore to the first answer. */
  readonly checkpoint: number;
  readonly restore: number;
}

/** @param withAgent whether the agent runs beside the program, as it does in a sandbox */
export async function bareTimes(
  { base, agentDirectory }: Installation,
  megabytes: number,
  withAgent: boolean,
): Promise<BareTimes> {
  const directory = await mkdtemp(join(tmpdir(), 'sandport-bench-'));
  const image = join(directory, 'image');
  await mkdir(image);
  const program = ['/usr/local/bin/node', ...holdingServer(megabytes)];
  const both = ['/bin/sh', '-c', '"$0" "$@" & exec /usr/local/bin/node -e "$PROGRAM"', ...agentArguments()];
  const bare: BareBundle = {
    rootfs: base.image.rootfs,
    args: withAgent ? both : program,
    mounts: agentMounts(agentDirectory),
    env: [`PROGRAM=${program.at(-1)}`],
  };
  try {
    await started('run', [], join(directory, 'first'), bare);
    const flags = [...SAVE_FLAGS.filter((flag) => flag !== '--leave-running'), PAST_CACHE_FLAG];
    const before = performance.now();
    await runsc(join(directory, 'first'), ['checkpoint', '--image-path', image, ...flags, 'bare']);
    const checkpoint = performance.now() - before;
    await end(join(directory, 'first'));
    const restore = await started('restore', ['--image-path', image, PAST_CACHE_FLAG], join(directory, 'second'), bare);
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
  bare: BareBundle,
): Promise<number> {
  await mkdir(bundle);
  const [slot] = await createSlots(names, [{ index: 0, address: INSIDE_ADDRESS }]);
  await writeBundle(bare, bundle, slot!);
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
