// Why a program could not be started, told from the system's error code.
import { ConnectError } from '../connect/connect-error.ts';

/** The program is missing or no program: its failure, in the form in which a shell would report it. */
export class CannotExecute extends Error {
  override name = 'CannotExecute';
  /** 127: not found; 126: found, not executable. */
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

export function launchError(cmd: string, error: unknown): Error {
  if (error instanceof ConnectError) return error;
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new CannotExecute(`${cmd}: not found`, 127);
    case 'EACCES':
    case 'ENOEXEC':
    case 'ELOOP':
    case 'EISDIR':
    case 'EPERM':
    case 'ETXTBSY':
      return new CannotExecute(`${cmd}: cannot execute (${code})`, 126);
    case 'E2BIG':
    case 'ENAMETOOLONG':
      return new ConnectError('invalid_argument', 'the arguments and environment are longer than the kernel takes');
    case 'EAGAIN':
    case 'ENOMEM':
    case 'EMFILE':
    case 'ENFILE':
      return new ConnectError('resource_exhausted', `the sandbox has no room for another process (${code})`);
    default:
      return new ConnectError('internal', `cannot start ${cmd} (${code ?? String(error)})`);
  }
}
