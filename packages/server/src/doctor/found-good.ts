// What was found good since the machine was started: a start of the server need not find it again.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomically } from '../files.ts';
import { findProgram } from '../host/find-program.ts';
import { RUN_DIRECTORY } from '../host/run-directory.ts';

export class FoundGood {
  readonly #directory: string;

  constructor(directory = join(RUN_DIRECTORY, 'found-good')) {
    this.#directory = directory;
  }

  /** Whether it was found good with this very file as the program. */
  has(name: string, program: string): boolean {
    const mark = markOf(program);
    try {
      return mark !== undefined && readFileSync(join(this.#directory, name), 'utf8') === mark;
    } catch {
      return false;
    }
  }

  async add(name: string, program: string): Promise<void> {
    const mark = markOf(program);
    if (mark === undefined) return;
    try {
      mkdirSync(this.#directory, { recursive: true });
      await writeFileAtomically(join(this.#directory, name), mark, 0o600);
    } catch {
      // The next start looks again.
    }
  }
}

/** Another version is another file, or one that was written later. */
function markOf(program: string): string | undefined {
  const path = findProgram(program);
  if (path === undefined) return undefined;
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
  return [path, dev, ino, size, mtimeNs].join(' ');
}
