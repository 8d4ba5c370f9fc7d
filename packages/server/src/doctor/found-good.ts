// What was found good since the machine was started: a start of the server need not find it again.
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from '@sandport/native/program-path';
import { writeFileAtomically } from '../files.ts';
import { RUN_DIRECTORY } from '../host/run-directory.ts';

export class FoundGood {
  readonly #directory: string;

  constructor(directory = join(RUN_DIRECTORY, 'found-good')) {
    this.#directory = directory;
  }

  /** Whether it was found good with this very file as the program. */
  has(name: string, program: string): boolean {
    try {
      return readFileSync(join(this.#directory, name), 'utf8') === markOf(program);
    } catch {
      return false;
    }
  }

  async add(name: string, program: string): Promise<void> {
    try {
      mkdirSync(this.#directory, { recursive: true });
      await writeFileAtomically(join(this.#directory, name), markOf(program), 0o600);
    } catch {
      // The next start looks again.
    }
  }
}

/** Another version is another file, or one that was written later. Throws where there is no such program. */
function markOf(program: string): string {
  const path = findProgram(program, process.env.PATH, process.cwd());
  const { dev, ino, size, mtimeNs } = statSync(path, { bigint: true });
  return [path, dev, ino, size, mtimeNs].join(' ');
}
