// Installs packages by apt, and a runsc that is new enough: Debian's stable release may hold an older one than its
// backports, which many machines do not list among their sources.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { debianSources, sourcesList } from './apt-sources.js';
import { step } from './progress.js';
import { run } from './run.js';
import { isRecentRunsc, OLDEST_RUNSC } from './runsc-version.js';
import { SetupError } from './setup-error.js';

const INSTALL = ['install', '--yes', '--no-install-recommends', '--option=DPkg::Lock::Timeout=300'];
const AGAIN = 'check that "apt-get update" works on this machine, then run it again';

/**
 * @param {readonly string[]} packages
 * @param {import('./os-release.js').OsRelease} os Debian or Ubuntu
 */
export async function installPackages(packages, os) {
  await step('system packages', async (progress) => {
    progress(`missing: ${packages.join(', ')}`);
    let candidates = await aptCandidates(packages);
    if (packages.some((name) => !candidates.has(name))) {
      progress('reading package lists');
      await apt(['update']);
      candidates = await aptCandidates(packages);
    }
    const unknown = packages.filter((name) => name !== 'runsc' && !candidates.has(name));
    if (unknown.length > 0) {
      throw new SetupError(
        `apt knows no package ${unknown.join(', ')} on ${os.name}`,
        'add a mirror of the whole distribution to /etc/apt (on Ubuntu with "universe"), then run it again',
      );
    }
    const fromBackports = packages.includes('runsc') && !isRecentRunsc(candidates.get('runsc') ?? '');
    const plain = packages.filter((name) => !(fromBackports && name === 'runsc'));
    if (plain.length > 0) {
      progress(`installing ${plain.join(', ')}`);
      try {
        await apt([...INSTALL, ...plain]);
      } catch {
        // Old lists name versions that the mirror no longer has.
        progress('reading package lists, and installing again');
        await apt(['update']);
        await apt([...INSTALL, ...plain]);
      }
    }
    if (fromBackports) await installFromBackports('runsc', os, progress);
  });
}

/**
 * Reads the versions that apt would install from what "apt-cache policy" prints.
 *
 * @param {string} text
 * @returns {Map<string, string>} versions by package; one that cannot be installed is absent
 */
export function parsePolicy(text) {
  const candidates = new Map();
  let name = '';
  for (const line of text.split('\n')) {
    const heading = /^(\S+):$/.exec(line);
    if (heading !== null) name = heading[1];
    const candidate = /^ {2}Candidate: (\S+)$/.exec(line)?.[1];
    if (candidate !== undefined && candidate !== '(none)') candidates.set(name, candidate);
  }
  return candidates;
}

/** @param {readonly string[]} packages */
async function aptCandidates(packages) {
  return parsePolicy(await run('apt-cache', ['policy', ...packages]));
}

/**
 * Leaves the machine's own sources and lists as they are.
 *
 * @param {string} name
 * @param {import('./os-release.js').OsRelease} os
 * @param {(what: string) => void} progress
 */
async function installFromBackports(name, { family, codename, name: osName }, progress) {
  const own = family === 'debian' ? (await debianSources(codename)).filter(({ suite }) => suite === codename) : [];
  if (own.length === 0) {
    throw new SetupError(
      `${osName} has no ${name} of ${OLDEST_RUNSC} or newer`,
      `install ${name} as gVisor's documentation says, so that it is on PATH, then run it again`,
    );
  }
  const suite = `${codename}-backports`;
  const directory = mkdtempSync(join(tmpdir(), 'sandport-apt-'));
  try {
    const list = join(directory, 'sources.list');
    writeFileSync(list, sourcesList(own.map((source) => ({ ...source, suite }))));
    mkdirSync(join(directory, 'lists', 'partial'), { recursive: true });
    const options = [
      `--option=Dir::Etc::sourcelist=${list}`,
      '--option=Dir::Etc::sourceparts=/dev/null',
      `--option=Dir::State::Lists=${join(directory, 'lists')}`,
      '--option=Dir::Cache::pkgcache=',
      '--option=Dir::Cache::srcpkgcache=',
    ];
    progress(`installing ${name} from ${suite}`);
    await apt([...options, 'update']);
    await apt([...options, ...INSTALL, `--target-release=${suite}`, name]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @param {readonly string[]} args */
function apt(args) {
  return run('apt-get', ['--quiet', ...args], {
    // Offline, so that no package starts a service of its own: Sandport uses the programs only.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', SYSTEMD_OFFLINE: '1' },
    remedy: AGAIN,
  });
}
