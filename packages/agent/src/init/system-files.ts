// The files by which programs in the sandbox find out where they are. The agent writes them from inside, so that the
// host follows no path of an image.
import { closeSync, constants, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { reportProblem } from '../logs/problems.ts';
import { SHELL_COMMAND_PATH, shellCommand } from './shell-command.ts';

/** The address every sandbox has inside; a name for it keeps `getfqdn` from asking the resolver. */
const INSIDE_ADDRESS = '169.254.0.21';

/** Contents by absolute path. */
export function systemFiles(init: AgentInit, identity: ReadonlyMap<string, string>): Map<string, string> {
  const files = new Map([
    [
      '/etc/hosts',
      `127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n${INSIDE_ADDRESS} ${init.hostname}\n`,
    ],
    ['/etc/hostname', `${init.hostname}\n`],
    // Of this sandbox and no other, also when it was forked (machine-id(5)).
    ['/etc/machine-id', `${machineId(init.sandboxId)}\n`],
    // Names that nobody answers for fail in 4 s, not in the 10 s of the C library's defaults.
    [
      '/etc/resolv.conf',
      `${init.nameservers.map((address) => `nameserver ${address}\n`).join('')}options timeout:2 attempts:2\n`,
    ],
    [SHELL_COMMAND_PATH, shellCommand(init)],
    ['/.e2b', `ENV_ID=${init.templateId}\nTEMPLATE_ID=${init.templateId}\nBUILD_ID=${init.buildId ?? ''}\n`],
  ]);
  for (const [name, value] of identity) {
    if (name.startsWith('E2B_')) files.set(`/run/e2b/.${name}`, value);
  }
  return files;
}

/** The sandbox's ID as a number of 128 bits in hexadecimal: letters and digits, as a number to the base of 36. */
function machineId(sandboxId: string): string {
  let id = 0n;
  for (const character of sandboxId) id = BigInt.asUintN(128, id * 36n + BigInt(Number.parseInt(character, 36) || 0));
  return id.toString(16).padStart(32, '0');
}

/**
 * Writes the files; one that cannot be written, as on a read-only root, is reported and left out.
 *
 * @param before what was written last: files that are to stay as they were are left alone, also where somebody in the
 *   sandbox has changed them since
 */
export function writeSystemFiles(
  root: string,
  files: ReadonlyMap<string, string>,
  before: ReadonlyMap<string, string> = new Map(),
): void {
  for (const [path, content] of files) {
    if (before.get(path) === content) continue;
    try {
      writeSystemFile(join(root, path), content, path === SHELL_COMMAND_PATH ? 0o755 : 0o644);
    } catch (error) {
      reportProblem(`${path} not written`, error);
    }
  }
}

/** Asks for nothing beforehand: that would double the time in which a sandbox is handed over. */
function writeSystemFile(target: string, content: string, mode: number): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, O_NONBLOCK } = constants;
  // A pipe that somebody has put there is an error, and not waited for until it has a reader.
  const flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK;
  const write = (): void => {
    const file = openSync(target, flags, mode);
    try {
      writeFileSync(file, content);
    } finally {
      closeSync(file);
    }
  };
  try {
    write();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Images link /etc/resolv.conf to where systemd would write it: a link is replaced, not followed.
    if (code === 'ELOOP') rmSync(target);
    else if (code === 'ENOENT') mkdirSync(dirname(target), { recursive: true });
    else throw error;
    write();
  }
}
