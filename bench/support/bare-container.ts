// The peer: one run of a runtime on the same image, by its command line and with nothing of Sandport around it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSlots, INSIDE_ADDRESS, removeSlot, type Slot, slotNames } from '@sandport/server/host/network/slot';
import { HIDE_SYSCTL_NET } from '@sandport/server/host/runtime/runsc';

export type RuntimeName = 'runsc' | 'runc';

export const PORT = 3000;
export const names = slotNames('bench0');
const CAPABILITIES = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SETGID', 'CAP_SETUID', 'CAP_NET_BIND_SERVICE'];

/** Milliseconds from the start of the runtime to the first byte of a command's output. */
export async function bareFirstByte(runtime: RuntimeName, rootfs: string): Promise<number> {
  return withContainer(runtime, { rootfs, args: ['/bin/bash', '-l', '-c', 'echo ready'] }, async (child, started) => {
    // A runtime that fails ends without any output.
    const [output] = await Promise.race([once(child.stdout!, 'data'), once(child, 'close')]);
    const elapsed = performance.now() - started;
    if (!Buffer.isBuffer(output)) throw new Error(`${runtime} ended with code ${output} before any output`);
    return elapsed;
  });
}

/** Milliseconds from the start of the runtime to the first answer of a web server in it. */
export async function bareFirstAnswer(runtime: RuntimeName, rootfs: string): Promise<number> {
  return withContainer(
    runtime,
    { rootfs, args: ['/usr/bin/python3', '-m', 'http.server', String(PORT)] },
    async (child, started) => {
      while (!(await answers())) {
        if (child.exitCode !== null) throw new Error(`${runtime} ended with code ${child.exitCode} before any answer`);
        await delay(2);
      }
      return performance.now() - started;
    },
  );
}

export interface BareBundle {
  readonly rootfs: string;
  readonly args: readonly string[];
  /** Beside those that every one has. */
  readonly mounts?: readonly object[];
  readonly env?: readonly string[];
}

export async function withContainer<T>(
  runtime: RuntimeName,
  bare: BareBundle,
  measure: (child: ChildProcess, started: number) => Promise<T>,
): Promise<T> {
  const bundle = await mkdtemp(join(tmpdir(), 'sandport-bench-'));
  // The sandbox's own address is reached directly: there is one at a time, and nothing to translate.
  const [slot] = await createSlots(names, [{ index: 0, address: INSIDE_ADDRESS }]);
  let child: ChildProcess | undefined;
  try {
    await writeBundle(bare, bundle, slot!);
    const [file, ...rest] = runCommandLine(runtime, bundle);
    const started = performance.now();
    child = spawn(file!, rest, { stdio: ['ignore', 'pipe', 'ignore'] });
    return await measure(child, started);
  } finally {
    await end(runtime, bundle, child);
    await removeSlot(names, 0);
    await rm(bundle, { recursive: true, force: true });
  }
}

export const FLAGS = {
  runsc: ['--platform=systrap', '--network=sandbox', '--ignore-cgroups', '--overlay2=root:memory'],
  runc: [],
} as const;

/** Runs what was written to the bundle, which it is named for, with the stdin and the stdout of the command. */
export function runCommandLine(runtime: RuntimeName, bundle: string): string[] {
  const launcher = runtime === 'runsc' ? HIDE_SYSCTL_NET : [];
  return [...launcher, runtime, ...globalFlags(runtime, bundle), 'run', '--bundle', bundle, basename(bundle)];
}

function globalFlags(runtime: RuntimeName, bundle: string): string[] {
  return ['--root', join(bundle, 'state'), ...FLAGS[runtime]];
}

async function end(runtime: RuntimeName, bundle: string, child: ChildProcess | undefined): Promise<void> {
  await deleteContainer(runtime, bundle);
  if (child !== undefined && child.exitCode === null && child.signalCode === null) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

/** Ends it where it still runs. */
export async function deleteContainer(runtime: RuntimeName, bundle: string): Promise<void> {
  const args = [...globalFlags(runtime, bundle), 'delete', '--force', basename(bundle)];
  const remove = spawn(runtime, args, { stdio: 'ignore' });
  await once(remove, 'close');
}

/** Fills a directory with what a runtime needs to run it. */
export async function writeBundle(
  bare: BareBundle,
  bundle: string,
  network: Pick<Slot, 'namespacePath'>,
): Promise<void> {
  await writeFile(join(bundle, 'hosts'), '127.0.0.1 localhost bare\n');
  await writeFile(join(bundle, 'config.json'), JSON.stringify(config(bare, bundle, network)));
}

function config(
  { rootfs, args, mounts = [], env = [] }: BareBundle,
  bundle: string,
  { namespacePath }: Pick<Slot, 'namespacePath'>,
): object {
  return {
    ociVersion: '1.0.2',
    root: { path: rootfs, readonly: true },
    hostname: 'bare',
    process: {
      user: { uid: 0, gid: 0 },
      cwd: '/',
      args,
      env: ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/root', ...env],
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755'] },
      { destination: '/etc/hosts', type: 'bind', source: join(bundle, 'hosts'), options: ['bind', 'ro'] },
      ...mounts,
    ],
    linux: {
      namespaces: [
        { type: 'pid' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'mount' },
        { type: 'network', path: namespacePath },
      ],
    },
  };
}

export function answers(): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: INSIDE_ADDRESS, port: PORT, timeout: 1000 });
    socket.on('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
    socket.on('data', () => {
      socket.destroy();
      resolve(true);
    });
    for (const event of ['error', 'timeout', 'end'] as const) {
      socket.on(event, () => {
        socket.destroy();
        resolve(false);
      });
    }
  });
}
