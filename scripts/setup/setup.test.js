// Run by `node --test scripts`; covers what the set-up decides without touching the machine.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parsePolicy } from './apt-install.js';
import { parseIndexTargets, sourcesList, withoutMachineDetails } from './apt-sources.js';
import { withFileLock } from './file-lock.js';
import { repository } from './locations.js';
import { hashOf, installNodeModules, matches, pathWithout } from './node-modules.js';
import { parseOsRelease } from './os-release.js';
import { run } from './run.js';
import { isRecentRunsc, parseRunscVersion } from './runsc-version.js';
import { parseLdd } from './shared-libraries.js';

test('os-release is read with and without quotes', () => {
  const text = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n# comment\nVERSION_CODENAME=bookworm\nID=debian\n';
  assert.deepEqual(parseOsRelease(text), {
    id: 'debian',
    codename: 'bookworm',
    name: 'Debian GNU/Linux 12 (bookworm)',
    family: 'debian',
  });
  assert.equal(parseOsRelease("ID='ubuntu'").family, 'ubuntu');
});

test('a distribution that is neither Debian nor Ubuntu is another one, whatever it is like', () => {
  assert.equal(parseOsRelease('ID=fedora\nNAME="Fedora \\"Linux\\""').family, 'other');
  assert.equal(parseOsRelease('ID=linuxmint\nID_LIKE="ubuntu debian"').family, 'other');
  assert.deepEqual(parseOsRelease(''), { id: 'linux', codename: '', name: 'linux', family: 'other' });
});

const targets = [
  'http://mirror.test/debian|bookworm|main|bookworm|Debian|$(SIGNED_BY)',
  'http://mirror.test/debian|bookworm|contrib|bookworm|Debian|$(SIGNED_BY)',
  'http://mirror.test/debian|bookworm|main|bookworm|Debian|$(SIGNED_BY)',
  'http://mirror.test/debian|bookworm-updates|main|bookworm-updates|Debian|$(SIGNED_BY)',
  'https://me:secret@mirror.test/security|stable-security|main|bookworm-security|Debian-Security|/usr/share/keyrings/d.gpg',
  'http://mirror.test/debian|bookworm-backports|main|bookworm-backports|Debian Backports|$(SIGNED_BY)',
  'https://tools.test/apt|bookworm|main|bookworm|Some Tools|$(SIGNED_BY)',
  'cdrom:[Debian]|bookworm|main|$(CODENAME)|$(LABEL)|$(SIGNED_BY)',
].join('\n');

test("Debian's main, updates and security are taken from the machine's sources, each once, and nothing else", () => {
  assert.deepEqual(
    parseIndexTargets(targets, 'bookworm').map(({ site, suite }) => `${site} ${suite}`),
    [
      'http://mirror.test/debian bookworm',
      'http://mirror.test/debian bookworm-updates',
      'https://me:secret@mirror.test/security bookworm-security',
    ],
  );
});

test('sources count before their lists have been fetched, when apt does not know their names yet', () => {
  const [source] = parseIndexTargets(
    'http://mirror.test/debian|trixie|main|$(CODENAME)|$(LABEL)|$(SIGNED_BY)',
    'trixie',
  );
  assert.equal(source?.suite, 'trixie');
});

test('no key file and no password of the machine reaches the sources inside the image', () => {
  const list = sourcesList(parseIndexTargets(targets, 'bookworm'));
  assert.match(list, /^deb \[signed-by=\/usr\/share\/keyrings\/d\.gpg\] https:\/\/me:secret@/m);
  assert.equal(
    withoutMachineDetails(list),
    'deb http://mirror.test/debian bookworm main\n' +
      'deb http://mirror.test/debian bookworm-updates main\n' +
      'deb https://mirror.test/security bookworm-security main\n',
  );
});

test('a version of runsc is its date, as the program and the packages write it', () => {
  assert.equal(parseRunscVersion('runsc version 0.0~20240729.0\nspec: 1.0.2-dev'), 20240729);
  assert.equal(parseRunscVersion('runsc version release-20250106.0'), 20250106);
  assert.equal(parseRunscVersion('runsc version VERSION_MISSING'), undefined);
});

test('a runsc that is older than the oldest usable one, or tells no version, is not recent', () => {
  assert.equal(isRecentRunsc('0.0~20240729.0-4~bpo12+2'), true);
  assert.equal(isRecentRunsc('release-20251110.0'), true);
  assert.equal(isRecentRunsc('0.0~20221219.0-2+b3'), false);
  assert.equal(isRecentRunsc('VERSION_MISSING'), false);
});

test('what apt would install is read by package; a package without a candidate is absent', () => {
  const text =
    'runsc:\n  Installed: (none)\n  Candidate: 0.0~20221219.0-2+b3\n  Version table:\nnftables:\n  Candidate: (none)\n';
  assert.deepEqual([...parsePolicy(text)], [['runsc', '0.0~20221219.0-2+b3']]);
});

test('libraries are read from ldd under the names programs ask for, the loader among them, without the vdso', () => {
  const text = `\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/libc.so.6 (0x00007f)\n\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n`;
  assert.deepEqual(parseLdd(text), [
    { name: 'libc.so.6', path: '/lib/libc.so.6' },
    { name: 'ld-linux-x86-64.so.2', path: '/lib64/ld-linux-x86-64.so.2' },
  ]);
  assert.throws(() => parseLdd('\tlibatomic.so.1 => not found'), /libatomic\.so\.1/);
});

test('installed packages match the lock file when all of them are there in their versions', () => {
  const lock = {
    packages: {
      '': { version: '1.0.0' },
      'packages/a': { version: '1.0.0' },
      'node_modules/a': { link: true },
      'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
      'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['win32'] },
    },
  };
  const installed = {
    packages: { 'node_modules/a': { link: true }, 'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' } },
  };
  assert.equal(matches(lock, installed), true);
  assert.equal(matches(lock, undefined), false);
  const other = { packages: { ...installed.packages, 'node_modules/b': { version: '1.0.0', integrity: 'sha512-b' } } };
  assert.equal(matches(lock, other), false);
  const needed = { packages: { ...lock.packages, 'node_modules/c': { version: '1.0.0' } } };
  assert.equal(matches(needed, installed), false);
});

test('an optional package for this machine has to be installed', () => {
  const mine = { version: '1.0.0', optional: true, os: ['linux'], cpu: [process.arch] };
  assert.equal(matches({ packages: { 'node_modules/mine': mine } }, { packages: {} }), false);
  const musl = { ...mine, libc: ['musl'] };
  assert.equal(matches({ packages: { 'node_modules/mine': musl } }, { packages: {} }), true);
});

test('the lock file names every platform that a package is made for, without which "npm ci" refuses it', () => {
  const { packages } = JSON.parse(readFileSync(join(repository, 'package-lock.json'), 'utf8'));
  const wanted = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    path.startsWith('node_modules/npm/') ? [] : Object.keys(optionalDependencies).map((name) => `node_modules/${name}`),
  );
  assert.deepEqual(
    wanted.filter((path) => packages[path] === undefined),
    [],
  );
});

test('node_modules whose stamp has the hash of the lock file are not looked at again', async (context) => {
  const root = mkdtempSync(join(tmpdir(), 'sandport-setup-'));
  context.after(() => rmSync(root, { recursive: true }));
  await run('mkdir', [join(root, 'node_modules')]);
  // Neither a lock file that npm could read nor a package: anything but the stamp would make it fail.
  writeFileSync(join(root, 'package-lock.json'), 'unread');
  writeFileSync(join(root, 'node_modules', '.sandport-setup'), `${hashOf('unread')}\n`);
  await installNodeModules(root);
});

test("the repository's own npm is taken off PATH", () => {
  assert.equal(pathWithout('/r/node_modules/.bin:/usr/bin:/bin', '/r/node_modules/.bin'), '/usr/bin:/bin');
});

test('of two that take the lock the second waits for the first', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'sandport-setup-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'lock');
  const events = [];
  let told = () => {};
  const waiting = new Promise((resolve) => {
    told = resolve;
  });
  let second;
  await withFileLock(
    file,
    () => assert.fail('nobody else has it'),
    async () => {
      second = withFileLock(file, told, async () => events.push('second'));
      await waiting;
      events.push('first');
    },
  );
  await second;
  assert.deepEqual(events, ['first', 'second']);
});

test('a program that fails is named with its arguments, its status and its words', async () => {
  await assert.rejects(run(process.execPath, ['--eval', 'console.error("no luck"); process.exit(3)']), (error) => {
    assert.match(error.message, /--eval/);
    assert.match(error.message, /exit status 3:\n {2}no luck/);
    return true;
  });
});

test('an unknown occasion is refused with the known ones, before anything is done', async () => {
  const script = join(repository, 'scripts', 'setup.js');
  await assert.rejects(promisify(execFile)(process.execPath, [script, '--for', 'fun']), (error) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /--for fun is not known/);
    assert.match(error.stderr, /tests, bench/);
    return true;
  });
});
