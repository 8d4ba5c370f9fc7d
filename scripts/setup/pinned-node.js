// The Node that runs Sandport, its agents and the sandboxes' own programs: pinned in package.json, delivered by npm.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { repository } from './locations.js';
import { SetupError } from './setup-error.js';
import { readJson } from './write-json.js';

/**
 * @param {string} [root] the repository
 * @returns {{ binary: string, version: string }} version without a leading `v`
 */
export function pinnedNode(root = repository) {
  const directory = join(root, 'node_modules', `node-linux-${process.arch}`);
  const binary = join(directory, 'bin', 'node');
  if (!existsSync(binary)) {
    throw new SetupError(
      `the pinned Node is missing: ${binary}`,
      'run "npm ci --include=optional" on a Linux machine with an x64 or arm64 processor',
    );
  }
  return { binary, version: readJson(join(directory, 'package.json')).version };
}

/**
 * @param {string} [root] the repository
 * @returns {{ directory: string, version: string }}
 */
export function pinnedNpm(root = repository) {
  const directory = join(root, 'node_modules', 'npm');
  const version = readJson(join(directory, 'package.json'))?.version;
  if (version === undefined) throw new SetupError(`npm's package is missing: ${directory}`, 'run "npm ci"');
  return { directory, version };
}
