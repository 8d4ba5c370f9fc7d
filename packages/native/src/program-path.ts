// Which file a command's name stands for, as execvp(3) finds it.
import { accessSync, constants, statSync } from 'node:fs';
import { resolve } from 'node:path';

/**
 * To be called as the user that runs the command, who may not see every directory.
 *
 * @param path the command's own PATH; its empty entries mean its working directory
 * @throws Error with the code ENOENT, or EACCES when what was found is no program
 */
export function findProgram(cmd: string, path: string | undefined, cwd: string): string {
  if (cmd.includes('/')) return cmd;
  let code = 'ENOENT';
  for (const directory of (path ?? '').split(':')) {
    const candidate = resolve(cwd, directory, cmd);
    try {
      accessSync(candidate, constants.X_OK);
      if (statSync(candidate).isFile()) return candidate;
      code = 'EACCES';
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EACCES') code = 'EACCES';
    }
  }
  throw Object.assign(new Error(`${cmd} is not found`), { code });
}
