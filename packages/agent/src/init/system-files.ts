// The files by which programs in the sandbox find out where they are. The agent writes them from inside, so that the
// host follows no path of an image.
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { AgentInit } from '@sandport/protocol/agent-init';

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
    ['/etc/machine-id', `${createHash('sha256').update(`machine ${init.sandboxId}`).digest('hex').slice(0, 32)}\n`],
    // Names that nobody answers for fail in 4 s, not in the 10 s of the C library's defaults.
    [
      '/etc/resolv.conf',
      `${init.nameservers.map((address) => `nameserver ${address}\n`).join('')}options timeout:2 attempts:2\n`,
    ],
    ['/.e2b', `ENV_ID=${init.templateId}\nTEMPLATE_ID=${init.templateId}\nBUILD_ID=${init.buildId ?? ''}\n`],
  ]);
  for (const [name, value] of identity) {
    if (name.startsWith('E2B_')) files.set(`/run/e2b/.${name}`, value);
  }
  return files;
}

/** Writes the files; one that cannot be written, as on a read-only root, is reported and left out. */
export function writeSystemFiles(root: string, files: ReadonlyMap<string, string>): void {
  for (const [path, content] of files) {
    const target = join(root, path);
    try {
      mkdirSync(dirname(target), { recursive: true });
      // Images link /etc/resolv.conf to where systemd would write it: a link is replaced, not followed.
      if (lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(target);
      writeFileSync(target, content, { mode: 0o644 });
    } catch (error) {
      process.stderr.write(`${path} not written: ${String(error)}\n`);
    }
  }
}
