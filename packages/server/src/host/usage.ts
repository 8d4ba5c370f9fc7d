// What a sandbox uses, read from its control group and its disk: from outside, so that nothing inside can colour it.
import { readFileSync } from 'node:fs';
import { readFile, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { isUnified } from './cgroups.ts';

export interface Usage {
  /** Processor time so far, nanoseconds. */
  readonly cpuNs: number;
  /** Bytes that could not be given back: without the cache of files. */
  readonly memoryBytes: number;
  /** Bytes of files that are kept in memory and could be read again. */
  readonly cacheBytes: number;
  readonly diskBytes: number;
  /** Processes that the kernel has ended because the sandbox was at its memory limit. */
  readonly outOfMemory: number;
}

const MOUNT = '/sys/fs/cgroup';

/**
 * @param group such as `/sandport/a1b2c3/container`
 * @param disk directory where the disk is mounted
 * @throws Error with the system's code when the sandbox has ended
 */
export async function readUsage(group: string, disk: string): Promise<Usage> {
  const [compute, kills, { blocks, bfree, bsize }] = await Promise.all([
    isUnified() ? readUnified(join(MOUNT, group)) : readLegacy(group),
    readFile(killsFile(group), 'utf8').catch(() => ''),
    statfs(disk),
  ]);
  return { ...compute, outOfMemory: field(kills, 'oom_kill'), diskBytes: (blocks - bfree) * bsize };
}

/** As `Usage.outOfMemory`, also of a sandbox that has ended, as long as its control group is there; 0 afterwards. */
export function readOutOfMemory(group: string): number {
  try {
    return field(readFileSync(killsFile(group), 'utf8'), 'oom_kill');
  } catch {
    return 0;
  }
}

function killsFile(group: string): string {
  return isUnified() ? join(MOUNT, group, 'memory.events') : join(MOUNT, 'memory', group, 'memory.oom_control');
}

type Compute = Omit<Usage, 'diskBytes' | 'outOfMemory'>;

/** cgroup v2. */
async function readUnified(directory: string): Promise<Compute> {
  const [cpu, memory, stat] = await readAll([
    join(directory, 'cpu.stat'),
    join(directory, 'memory.current'),
    join(directory, 'memory.stat'),
  ]);
  return {
    cpuNs: field(cpu, 'usage_usec') * 1000,
    ...divide(Number(memory), field(stat, 'file'), field(stat, 'shmem')),
  };
}

/** cgroup v1, where each controller has a hierarchy of its own. */
async function readLegacy(group: string): Promise<Compute> {
  const memory = join(MOUNT, 'memory', group);
  const [cpu, used, stat] = await readAll([
    join(MOUNT, 'cpuacct', group, 'cpuacct.usage'),
    join(memory, 'memory.usage_in_bytes'),
    join(memory, 'memory.stat'),
  ]);
  const cached = field(stat, 'total_cache');
  return { cpuNs: Number(cpu), ...divide(Number(used), cached, field(stat, 'total_shmem')) };
}

/** Shared memory, in which gVisor keeps all of its sandbox, counts as files and cannot be given back. */
function divide(used: number, files: number, shared: number): Pick<Usage, 'memoryBytes' | 'cacheBytes'> {
  const cacheBytes = Math.max(0, files - shared);
  return { memoryBytes: Math.max(0, used - cacheBytes), cacheBytes };
}

function readAll(paths: readonly string[]): Promise<string[]> {
  return Promise.all(paths.map((path) => readFile(path, 'utf8')));
}

/** A line `name value`; 0 when there is none. */
function field(text: string | undefined, name: string): number {
  return Number(new RegExp(`^${name} ([0-9]+)$`, 'm').exec(text ?? '')?.[1] ?? 0);
}
