// What a test needs of the machine, and what it finds left behind on it.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { type Dirent, existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { freePort as freePortOf } from '../../packages/server/src/gateway/testing/free-port.ts';

/** Runtimes under which the end-to-end tests run; `SANDPORT_TEST_RUNTIMES=runc` leaves one out. */
export const runtimes = (process.env.SANDPORT_TEST_RUNTIMES ?? 'runsc,runc').split(',') as ('runsc' | 'runc')[];

export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Error('these tests make namespaces and cgroups: run them as root');
}

/** A port that is free on the loopback addresses now. */
export function freePort(): Promise<number> {
  return freePortOf('::');
}

/** Host processes of the sandboxes of an instance: those in their cgroups. */
export function processesOfSandboxes(instance: string): number[] {
  const files = globSync(`/sys/fs/cgroup/{,pids/}sandport/${instance}/*/cgroup.procs`);
  const pids = files.flatMap((file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number));
  assert(pids.length > 0, 'no process found');
  return pids;
}

/** Everything on the machine that bears the name of an instance or lies under its data directory. */
export function leftovers(instance: string, dataDirectory: string): string[] {
  const found: string[] = [];
  const look = (what: string, lines: string[]): void => {
    for (const line of lines)
      if (line.includes(instance) || line.includes(dataDirectory)) found.push(`${what}: ${line}`);
  };
  look('namespace', output('ip', ['netns', 'list']));
  look('interface', output('ip', ['-brief', 'link']));
  look('route', output('ip', ['route']));
  look('packet filter', output('nft', ['list', 'tables']));
  look('mount', readFileSync('/proc/self/mountinfo', 'utf8').split('\n'));
  look('loop device', output('losetup', ['--list', '--noheadings', '--output', 'BACK-FILE']));
  look('cgroup', cgroups());
  look('process', processes());
  if (existsSync(`/run/sandport/${instance}`)) found.push(`directory: /run/sandport/${instance}`);
  for (const name of ['bundles', 'disks', 'snapshots']) {
    const directory = `${dataDirectory}/${name}`;
    const entries = existsSync(directory) ? readdirSync(directory) : [];
    for (const entry of entries) if (!entry.startsWith('template-')) found.push(`file: ${directory}/${entry}`);
  }
  return found;
}

function output(file: string, args: string[]): string[] {
  return execFileSync(file, args, { encoding: 'utf8' }).split('\n');
}

/** Directories of all control groups. Those of other tests come and go meanwhile. */
function cgroups(directory = '/sys/fs/cgroup'): string[] {
  const below = entriesOf(directory).filter((entry) => entry.isDirectory());
  return below.map(({ name }) => `${directory}/${name}`).flatMap((path) => [path, ...cgroups(path)]);
}

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    // ENODEV: it was removed after it was opened.
    if (['ENOENT', 'ENODEV'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}

function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((pid) => {
      try {
        return `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`;
      } catch {
        return '';
      }
    });
}
