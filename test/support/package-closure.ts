// An installed package with everything that it needs, as an archive that a sandbox can unpack: tests have no registry inside.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A tar archive, compressed, with `node_modules/...` in it. */
export function packageClosure(name: string): Buffer {
  const directories = new Set<string>();
  collect(name, ROOT, directories);
  const names = [...directories].map((directory) => directory.slice(ROOT.length));
  return execFileSync('tar', ['-C', ROOT, '-cz', ...names], { maxBuffer: 256 * 1024 * 1024 });
}

function collect(name: string, from: string, found: Set<string>): void {
  const directory = find(name, from);
  if (found.has(directory)) return;
  found.add(directory);
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as Manifest;
  for (const needed of Object.keys(manifest.dependencies ?? {})) collect(needed, directory, found);
  for (const wanted of Object.keys(manifest.optionalDependencies ?? {})) {
    // Those of other platforms are not installed.
    if (find(wanted, directory, false) !== '') collect(wanted, directory, found);
  }
}

/** As Node looks for it: in `node_modules` beside the package that needs it, and above. */
function find(name: string, from: string, isNeeded = true): string {
  for (const path of createRequire(join(from, 'package.json')).resolve.paths(name) ?? []) {
    const directory = join(path, name);
    if (existsSync(join(directory, 'package.json')) && dirname(path).startsWith(ROOT.slice(0, -1))) return directory;
  }
  if (isNeeded) throw new Error(`${name} is not installed: run "npm ci"`);
  return '';
}
