// What makes one base image differ from another, in one short hash: the version in its directory's name.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Length of a version: 48 bits tell apart more images than a machine will ever have. */
const VERSION_LENGTH = 12;

/**
 * @param {{ codename: string, node: string, npm: string }} ingredients Debian's release, and versions
 * @returns {string}
 */
export function recipeVersion({ codename, node, npm }) {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([process.arch, codename, node, npm]));
  // The files beside this one are the rest of the recipe.
  const directory = dirname(fileURLToPath(import.meta.url));
  for (const name of readdirSync(directory).sort()) hash.update(name).update(readFileSync(join(directory, name)));
  return hash.digest('hex').slice(0, VERSION_LENGTH);
}
