// Finds the shared libraries of a program, so that it runs with its own C library whatever the sandbox's image has.
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { run } from './run.js';
import { SetupError } from './setup-error.js';

/** @typedef {{ name: string, file: string }} SharedLibrary the name programs ask for, and the real file */

/** Loaded at run time by native modules (a terminal's openpty), so ldd does not list it. */
const ALSO = ['libutil.so.1'];

/**
 * Reads what ldd(1) prints: `name => path (address)`, and the loader as a path alone. The kernel's own vdso has no file.
 *
 * @param {string} text
 * @returns {{ name: string, path: string }[]}
 */
export function parseLdd(text) {
  const libraries = [];
  for (const line of text.split('\n')) {
    const missing = /^\s*(\S+) => not found/.exec(line);
    if (missing !== null)
      throw new SetupError(`the library ${missing[1]} of the pinned Node is missing on this machine`);
    const match = /^\s*(?:(\S+) => )?(\/\S+) \(0x[0-9a-f]+\)$/.exec(line);
    if (match === null) continue;
    const [, name, path] = match;
    libraries.push({ name: (name ?? path).split('/').at(-1), path });
  }
  return libraries;
}

/**
 * @param {string} binary
 * @returns {Promise<{ loader: string, libraries: SharedLibrary[] }>} the loader is one of the libraries, by name
 */
export async function sharedLibraries(binary) {
  const found = parseLdd(await run('ldd', [binary]));
  const loader = found.find(({ name }) => name.startsWith('ld-linux'))?.name;
  const libc = found.find(({ name }) => name === 'libc.so.6');
  if (loader === undefined || libc === undefined) {
    throw new SetupError(
      'this machine has no GNU C library, which the pinned Node and the agent need',
      'run Sandport on a distribution with glibc, such as Debian, Ubuntu or Fedora',
    );
  }
  for (const name of ALSO) {
    const path = join(dirname(libc.path), name);
    if (existsSync(path)) found.push({ name, path });
  }
  return { loader, libraries: found.map(({ name, path }) => ({ name, file: realpathSync(path) })) };
}
