// Turns a plain Debian tree into the base image: the user, our files, Node and npm.
import {
  chmodSync,
  chownSync,
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withoutMachineDetails } from '../apt-sources.js';
import { run } from '../run.js';
import { emptyDirectories, environment, files, openDirectories } from './files.js';
import { promised } from './packages.js';

const USER_ID = 1000;

/** What a program of the image runs with while the image is made; nothing of this machine's environment. */
const chrootEnvironment = {
  PATH: environment.PATH,
  HOME: '/nonexistent',
  // What npm would leave in /tmp.
  NODE_DISABLE_COMPILE_CACHE: '1',
};

/**
 * @param {string} rootfs
 * @param {{ binary: string }} node
 * @param {{ directory: string }} npm
 */
export async function customise(rootfs, node, npm) {
  chmodSync(rootfs, 0o755);
  installNode(rootfs, node.binary, npm.directory);
  writeFiles(rootfs);
  plainAptSources(rootfs);
  allowPipToInstall(rootfs);
  await addUser(rootfs);
  await installSudo(rootfs);
  await archiveLocale(rootfs);
  for (const path of emptyDirectories) mkdirSync(join(rootfs, path), { mode: 0o755 });
  keepTmpOnDisk(rootfs);
  symlinkSync('../proc/self/mounts', join(rootfs, 'etc/mtab'));
  // Java's and PostgreSQL's packages fail to install where these are missing.
  for (let section = 1; section <= 8; section++) {
    mkdirSync(join(rootfs, 'usr/share/man', `man${section}`), { recursive: true });
  }
  for (const path of openDirectories) openForEverybody(join(rootfs, path));
}

/**
 * gVisor covers an empty /tmp with memory, of which a sandbox has little, and whose end is the sandbox's end. This is
 * the directory that most machines have there (tmpfiles.d(5), x11.conf).
 *
 * @param {string} rootfs
 */
function keepTmpOnDisk(rootfs) {
  const path = join(rootfs, 'tmp/.X11-unix');
  mkdirSync(path);
  chmodSync(path, 0o1777);
}

/**
 * @param {string} rootfs
 * @param {string} binary
 * @param {string} npmDirectory
 */
function installNode(rootfs, binary, npmDirectory) {
  const bin = join(rootfs, 'usr/local/bin');
  const modules = join(rootfs, 'usr/local/lib/node_modules');
  copyFileSync(binary, join(bin, 'node'));
  chmodSync(join(bin, 'node'), 0o755);
  symlinkSync('node', join(bin, 'nodejs'));
  mkdirSync(modules, { recursive: true });
  const documentation = ['docs', 'man'].map((name) => join(npmDirectory, name));
  cpSync(npmDirectory, join(modules, 'npm'), {
    recursive: true,
    dereference: true,
    filter: (path) => !documentation.includes(path),
  });
  for (const name of ['npm', 'npx']) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(bin, name));
    chmodSync(join(modules, 'npm/bin', `${name}-cli.js`), 0o755);
  }
}

/** @param {string} rootfs */
function writeFiles(rootfs) {
  for (const [path, { content, mode = 0o644 }] of Object.entries(files)) {
    const target = join(rootfs, path);
    mkdirSync(dirname(target), { recursive: true });
    // Replaces a link such as /etc/resolv.conf may be, rather than writing through it.
    rmSync(target, { force: true });
    writeFileSync(target, content);
    chmodSync(target, mode);
  }
}

/** So that "apt-get update" works in a sandbox, from where the image came. @param {string} rootfs */
function plainAptSources(rootfs) {
  const list = join(rootfs, 'etc/apt/sources.list');
  const parts = join(rootfs, 'etc/apt/sources.list.d');
  const written = [list, ...readdirSync(parts).map((name) => join(parts, name))].filter((path) =>
    path.endsWith('.list'),
  );
  let lines = '';
  for (const path of written) {
    lines += withoutMachineDetails(readFileSync(path, { encoding: 'utf8', flag: 'a+' }));
    rmSync(path);
  }
  writeFileSync(list, lines);
}

/** A sandbox has no other owner of its Python than the user (PEP 668 asks for a mark otherwise). @param {string} rootfs */
function allowPipToInstall(rootfs) {
  const lib = join(rootfs, 'usr/lib');
  for (const name of readdirSync(lib)) {
    if (!/^python3\.\d+$/.test(name)) continue;
    rmSync(join(lib, name, 'EXTERNALLY-MANAGED'), { force: true });
    // pip installs for the user alone unless this one can be written; then programs are outside PATH.
    mkdirSync(join(rootfs, 'usr/local/lib', name, 'dist-packages'), { recursive: true });
  }
}

/**
 * Puts our sudo before Debian's, which it runs; a diversion, so that an upgrade of the package in a sandbox keeps both.
 *
 * @param {string} rootfs
 */
async function installSudo(rootfs) {
  const source = '/usr/lib/sandport/sudo.c';
  const daemon = '/usr/lib/sandport/sudod';
  mkdirSync(join(rootfs, 'usr/lib/sandport'), { mode: 0o755 });
  copyFileSync(join(dirname(fileURLToPath(import.meta.url)), 'sudo.c'), join(rootfs, source));
  await inImage(rootfs, ['gcc', '-O2', '-static', '-s', '-o', daemon, source]);
  rmSync(join(rootfs, source));
  const diverted = ['--divert', '/usr/lib/sandport/sudo', '--add', '/usr/bin/sudo'];
  await inImage(rootfs, ['dpkg-divert', '--quiet', '--local', '--rename', ...diverted]);
  linkSync(join(rootfs, daemon), join(rootfs, 'usr/bin/sudo'));
}

/**
 * Nearly every program reads the locale when it starts: one archive in place of a dozen files, each of which takes the
 * better part of a millisecond to open and map under gVisor.
 *
 * @param {string} rootfs
 */
async function archiveLocale(rootfs) {
  await inImage(rootfs, ['localedef', '--add-to-archive', '/usr/lib/locale/C.utf8']);
}

/** @param {string} rootfs */
async function addUser(rootfs) {
  await inImage(rootfs, ['groupadd', '--gid', String(USER_ID), 'user']);
  await inImage(rootfs, [
    ...['useradd', '--uid', String(USER_ID), '--gid', 'user', '--groups', 'sudo', '--shell', '/bin/bash'],
    ...['--create-home', '--home-dir', '/home/user', 'user'],
  ]);
  chownSync(join(rootfs, 'home/user'), USER_ID, USER_ID);
  chmodSync(join(rootfs, 'home/user'), 0o755);
}

/**
 * Makes a directory and all below it writable for everybody; files keep their modes.
 *
 * @param {string} path
 */
function openForEverybody(path) {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o777);
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    if (entry.isDirectory()) openForEverybody(join(path, entry.name));
  }
}

/**
 * Starts what the image promises, as the user, so that a broken image is never taken into use.
 *
 * @param {string} rootfs
 */
export async function tryPrograms(rootfs) {
  for (const command of promised) {
    await inImage(rootfs, command, ['--userspec=user:user', '--groups=user,sudo']);
  }
  // Only now, because programs open /dev/null. The runtime mounts its own /dev and has no use for nodes below it.
  for (const name of readdirSync(join(rootfs, 'dev'))) rmSync(join(rootfs, 'dev', name), { recursive: true });
}

/**
 * @param {string} rootfs
 * @param {readonly string[]} command
 * @param {readonly string[]} [options] of chroot(1)
 */
function inImage(rootfs, command, options = []) {
  return run('chroot', [...options, rootfs, ...command], { env: chrootEnvironment });
}
