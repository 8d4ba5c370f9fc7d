// The base image: the file system that sandboxes start from. Made once per recipe, in a directory beside the final one,
// and renamed when it is complete: under the final name there is a whole image or none.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { debianSources, sourcesList } from './apt-sources.js';
import { customise, tryPrograms } from './base-image/customise.js';
import { environment } from './base-image/files.js';
import { leftOut, packages } from './base-image/packages.js';
import { recipeVersion } from './base-image/recipe.js';
import { copyWithShiftedIds } from './base-image/shift-ids.js';
import { imagesDirectory } from './locations.js';
import { readOsRelease } from './os-release.js';
import { pinnedNode, pinnedNpm } from './pinned-node.js';
import { step } from './progress.js';
import { run } from './run.js';
import { writeJson } from './write-json.js';

const NAME = 'base';
/** Debian's release in the image on machines that run something else. */
const CODENAME_ELSEWHERE = 'bookworm';
const UNFINISHED = '.unfinished-';
/**
 * Before a command: it ends with this process, however that ends, and what it mounts and starts ends with it. mmdebstrap
 * mounts /sys and more of this machine in the tree it makes.
 */
const ENDS_WITH_US = [
  ...['setpriv', '--pdeathsig', 'KILL'],
  ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'],
];

/** @typedef {{ name: string, version: string, directory: string }} BaseImage */

/** @returns {BaseImage} the image that this repository asks for, built or not */
export function wantedBaseImage() {
  const version = recipeVersion({ codename: imageCodename(), node: pinnedNode().version, npm: pinnedNpm().version });
  return { name: NAME, version, directory: join(imagesDirectory, `${NAME}-${version}`) };
}

/** @param {BaseImage} image */
export function isBuilt(image) {
  return existsSync(image.directory);
}

/**
 * Needs root, the system packages, and the set-up's lock.
 *
 * @param {BaseImage} image
 */
export async function buildBaseImage(image) {
  mkdirSync(imagesDirectory, { recursive: true });
  await removeUnfinished();
  const directory = mkdtempSync(join(imagesDirectory, UNFINISHED));
  const rootfs = join(directory, 'rootfs');
  await step('base image', async (progress) => {
    await installDebian(rootfs, progress);
    progress('adding Node, npm and the user');
    await customise(rootfs, pinnedNode(), pinnedNpm());
    progress('trying its programs');
    await tryPrograms(rootfs);
    progress('copying it for runc');
    await copyWithShiftedIds(rootfs, join(directory, 'rootfs-shifted'));
    writeJson(join(directory, 'image.json'), {
      name: image.name,
      version: image.version,
      defaultUser: 'user',
      workdir: '/home/user',
      env: environment,
    });
    await run('chmod', ['755', directory]);
    renameSync(directory, image.directory);
  });
}

function imageCodename() {
  const { family, codename } = readOsRelease();
  return family === 'debian' && codename !== '' ? codename : CODENAME_ELSEWHERE;
}

/**
 * @param {string} rootfs
 * @param {(what: string) => void} progress
 */
async function installDebian(rootfs, progress) {
  const codename = imageCodename();
  const sources = readOsRelease().family === 'debian' ? await debianSources(codename) : [];
  const dpkgOptions = [
    ...leftOut.exclude.map((path) => `path-exclude=${path}`),
    ...leftOut.include.map((path) => `path-include=${path}`),
    // A sandbox's packages need not survive a power failure.
    'force-unsafe-io',
  ];
  const [program, ...before] = ENDS_WITH_US;
  await run(
    program,
    [
      ...before,
      'mmdebstrap',
      ...['--mode=root', '--variant=minbase', '--format=directory', '--skip=output/dev'],
      ...dpkgOptions.map((option) => `--dpkgopt=${option}`),
      '--aptopt=Acquire::Languages "none"',
      `--include=${packages.join(',')}`,
      codename,
      rootfs,
      // Without sources mmdebstrap takes Debian's default mirror.
      ...(sources.length === 0 ? [] : ['-']),
    ],
    {
      input: sourcesList(sources),
      onLine: (line) => {
        if (line.startsWith('I: ') && line.endsWith('...')) progress(line.slice('I: '.length, -'...'.length));
      },
      remedy: 'check that "apt-get update" works on this machine and that the disk has 3 GB free, then run it again',
    },
  );
}

/** What an interrupted set-up left. Nothing is mounted in it; if something were, it would be this machine's. */
async function removeUnfinished() {
  for (const name of readdirSync(imagesDirectory)) {
    if (!name.startsWith(UNFINISHED)) continue;
    await run('rm', ['--recursive', '--force', '--one-file-system', join(imagesDirectory, name)]);
  }
}
