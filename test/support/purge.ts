// Removes what a failed test left on the machine: everything that bears the name of its instance.
import { execFileSync } from 'node:child_process';
import { existsSync, globSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { findProcesses, signal } from '../../packages/server/src/process-identity.ts';

/** To be called only when the instance's control process has ended. Goes on where something cannot be removed. */
export function purge(instance: string, dataDirectory: string): void {
  // Workers, which outlive their control process.
  const isWorker = (args: readonly string[]) => args.some((arg) => arg.startsWith(`${dataDirectory}/`));
  for (const worker of findProcesses(isWorker)) signal(worker, 'SIGKILL');
  const groups = globSync(`/sys/fs/cgroup/{,*/}sandport/${instance}{,/*}`);
  for (const group of groups) {
    for (const pid of lines(`${group}/cgroup.procs`)) attempt(() => process.kill(Number(pid), 'SIGKILL'));
  }
  // Innermost first: what is mounted later lies within what was mounted before.
  for (const mount of mountsUnder(dataDirectory).reverse()) attempt(() => execFileSync('umount', ['--lazy', mount]));
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    if (name.startsWith(`sandport-${instance}-`)) attempt(() => execFileSync('ip', ['netns', 'delete', name]));
  }
  attempt(() => execFileSync('nft', ['delete', 'table', 'inet', `sandport_${instance}`], { stdio: 'ignore' }));
  for (const group of groups.sort((a, b) => b.length - a.length)) attempt(() => rmdirSync(group));
  rmSync(`/run/sandport/${instance}`, { recursive: true, force: true });
  for (const owner of globSync('/run/sandport/blocks/*/owner')) {
    if (lines(owner)[0] === dataDirectory) rmSync(owner.slice(0, -'/owner'.length), { recursive: true, force: true });
  }
}

function mountsUnder(directory: string): string[] {
  return lines('/proc/self/mountinfo')
    .map((line) => line.split(' ')[4]!)
    .filter((mount) => mount.startsWith(`${directory}/`));
}

function lines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n').filter(Boolean);
  } catch {
    return [];
  }
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // It is gone, or goes with what holds it.
  }
}
