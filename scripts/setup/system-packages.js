// The programs of this machine that Sandport needs. Debian and Ubuntu get the missing ones by apt; elsewhere they are
// named, and taken from PATH.
import { accessSync, constants, existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackages } from './apt-install.js';
import { readOsRelease } from './os-release.js';
import { run } from './run.js';
import { isRecentRunsc, OLDEST_RUNSC } from './runsc-version.js';
import { SetupError } from './setup-error.js';

/** @typedef {{ what: string, package: string, present: () => boolean | Promise<boolean>, debianOnly?: true }} Need */

/** @type {readonly Need[]} */
const needs = [
  { what: `runsc (gVisor) of ${OLDEST_RUNSC} or newer`, package: 'runsc', present: hasRecentRunsc },
  program('runc', 'runc'),
  program('nft', 'nftables'),
  program('ip', 'iproute2'),
  program('mmdebstrap', 'mmdebstrap'),
  // Without it mmdebstrap cannot check what it downloads; Debian's own machines have it.
  {
    what: "Debian's archive keys (debian-archive-keyring)",
    package: 'debian-archive-keyring',
    present: () => hasArchiveKeys(),
  },
  program('mkfs.ext4', 'e2fsprogs'),
  program('e2fsck', 'e2fsprogs'),
  program('fsfreeze', 'util-linux'),
  program('unshare', 'util-linux'),
  program('setpriv', 'util-linux'),
  program('flock', 'util-linux'),
  program('losetup', 'mount'),
  program('mount', 'mount'),
  // Resolves *.localhost to this machine for programs that ask the C library, so that the demo's URLs open in them.
  { what: 'libnss_myhostname', package: 'libnss-myhostname', present: hasMyhostname, debianOnly: true },
];

/** Packages of Debian that only these occasions need, with the program or file each is known by. */
/** @type {Readonly<Record<string, readonly Need[]>>} */
const extraNeeds = {
  tests: [
    // What images of sandboxes are made of that have nothing else.
    { what: 'a static busybox', package: 'busybox-static', present: hasStaticBusybox, debianOnly: true },
    { what: 'the musl C library', package: 'musl', present: hasMusl, debianOnly: true },
    // What people open public URLs in.
    program('chromium', 'chromium'),
    // A second reader of what the gateway forwards.
    program('nginx', 'nginx'),
    // What the Python client speaks HTTP with.
    pythonLibrary('httpx', 'python3-httpx'),
    pythonLibrary('h2', 'python3-h2'),
  ],
  bench: [
    program('nginx', 'nginx'),
    program('haproxy', 'haproxy'),
    program('caddy', 'caddy'),
    program('go', 'golang-go'),
    program('wrk', 'wrk'),
    program('h2load', 'nghttp2-client'),
    program('taskset', 'util-linux'),
  ],
};

/** What the set-up may be for. */
export const occasions = Object.keys(extraNeeds);

/** @param {string | undefined} occasion one of `occasions` */
export async function installSystemPackages(occasion) {
  const os = readOsRelease();
  const wanted = [...needs, ...(occasion === undefined ? [] : (extraNeeds[occasion] ?? []))];
  let missing = await absent(wanted, os);
  if (missing.length === 0) return;
  const list = missing.map(({ what }) => what).join(', ');
  if (os.family === 'other') {
    throw new SetupError(
      `missing on this machine (${os.name}): ${list}`,
      "install them with this distribution's package manager (gVisor's documentation has runsc), then run it again",
    );
  }
  const packages = [...new Set(missing.map((need) => need.package))];
  if (process.getuid?.() !== 0) throw needsRoot(list, packages);
  await installPackages(packages, os);
  missing = await absent(wanted, os);
  if (missing.length > 0) {
    throw new SetupError(
      `still missing after apt-get: ${missing.map(({ what }) => what).join(', ')}`,
      `run "apt-get install --reinstall ${missing.map((need) => need.package).join(' ')}" and look at its messages`,
    );
  }
}

/**
 * @param {string} list
 * @param {readonly string[]} packages
 */
function needsRoot(list, packages) {
  const plain = packages.filter((name) => name !== 'runsc');
  const byHand =
    plain.length === 0 ? '' : `, or first "sudo apt-get install --no-install-recommends ${plain.join(' ')}"`;
  return new SetupError(`missing on this machine: ${list}`, `run "sudo npm run setup", which installs them${byHand}`);
}

/**
 * @param {readonly Need[]} wanted
 * @param {import('./os-release.js').OsRelease} os
 */
async function absent(wanted, os) {
  const missing = [];
  for (const need of wanted) {
    if (need.debianOnly && os.family === 'other') continue;
    if (!(await need.present())) missing.push(need);
  }
  return missing;
}

/**
 * @param {string} name
 * @param {string} packageName
 * @returns {Need}
 */
function program(name, packageName) {
  return { what: name, package: packageName, present: () => findProgram(name) !== undefined };
}

/**
 * @param {string} name
 * @param {string} packageName
 * @returns {Need}
 */
function pythonLibrary(name, packageName) {
  const directory = join('/usr/lib/python3/dist-packages', name);
  return { what: `Python's ${name}`, package: packageName, present: () => existsSync(directory), debianOnly: true };
}

/** @param {string} name */
function findProgram(name) {
  // A user's PATH often lacks the directories of administrators.
  const directories = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  return directories.map((directory) => join(directory, name)).find(isExecutable);
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function hasRecentRunsc() {
  const runsc = findProgram('runsc');
  if (runsc === undefined) return false;
  return isRecentRunsc(await run(runsc, ['--version']));
}

function hasArchiveKeys() {
  const directory = '/usr/share/keyrings';
  return existsSync(directory) && readdirSync(directory).some((name) => name.startsWith('debian-archive-keyring.'));
}

function hasStaticBusybox() {
  // A program that is linked dynamically names its loader.
  return existsSync('/bin/busybox') && !readFileSync('/bin/busybox').includes('/ld-linux');
}

function hasMusl() {
  return readdirSync('/lib').some((name) => name.startsWith('ld-musl-'));
}

function hasMyhostname() {
  const library = 'libnss_myhostname.so.2';
  return ['/usr/lib', ...readdirSync('/usr/lib').map((name) => join('/usr/lib', name)), '/usr/lib64'].some(
    (directory) => existsSync(join(directory, library)),
  );
}
