// Installs what package-lock.json names, when node_modules holds something else. Uses Node's own modules only: it runs
// before any other is there.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { withFileLock } from './file-lock.js';
import { log, step } from './progress.js';
import { run } from './run.js';
import { SetupError } from './setup-error.js';
import { readJson } from './write-json.js';

/** Holds the hash of the lock file that node_modules is known to match. */
const STAMP = '.sandport-setup';

/** @param {string} root the repository */
export async function installNodeModules(root) {
  const lockFile = join(root, 'package-lock.json');
  const modules = join(root, 'node_modules');
  const stamp = join(modules, STAMP);
  const hash = hashOf(readFileSync(lockFile));
  if (readStamp(stamp) === hash) return;
  // npm records what it installed; somebody who ran npm by hand need not wait for it again.
  const isInstalled = () => matches(readJson(lockFile), readJson(join(modules, '.package-lock.json')));
  if (!isInstalled()) {
    // flock(1) takes a directory as well, so that no file is left in the repository.
    await withFileLock(root, log, async () => {
      if (!isInstalled()) await install(root, modules);
    });
  }
  if (!existsSync(modules)) throw new SetupError(`${modules} is missing after "npm ci"`);
  writeFileSync(stamp, `${hash}\n`);
}

/**
 * @param {string} root
 * @param {string} modules
 */
async function install(root, modules) {
  await step('npm packages', () =>
    run('npm', ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund'], {
      cwd: root,
      env: { ...process.env, PATH: pathWithout(process.env.PATH ?? '', join(modules, '.bin')) },
      remedy: 'check that "npm ping" works, then run it again',
    }),
  );
}

/**
 * Whether all that the lock file asks for is installed, in its version. Optional packages are for other platforms where
 * they are absent; those for this one are asked for by who needs them.
 *
 * @param {{ packages: Record<string, LockEntry> }} lock
 * @param {{ packages: Record<string, LockEntry> } | undefined} installed npm's record in node_modules
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, os?: string[], cpu?: string[], libc?: string[], link?: boolean }} LockEntry
 */
export function matches(lock, installed) {
  if (installed === undefined) return false;
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (!path.includes('node_modules/')) return true;
    const found = installed.packages[path];
    if (found === undefined) return wanted.optional === true && !isForThisMachine(wanted);
    return found.version === wanted.version && found.integrity === wanted.integrity && found.link === wanted.link;
  });
}

/** @param {LockEntry} entry */
function isForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false;
  return (
    (os ?? ['linux']).includes('linux') && (cpu ?? [process.arch]).includes(process.arch) && !libc?.includes('musl')
  );
}

/** @param {Uint8Array} content */
export function hashOf(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** @param {string} path */
function readStamp(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/**
 * npm scripts find the repository's own npm first, which "npm ci" takes away under its own feet.
 *
 * @param {string} path value of PATH
 * @param {string} directory
 */
export function pathWithout(path, directory) {
  return path
    .split(delimiter)
    .filter((entry) => entry !== directory)
    .join(delimiter);
}
