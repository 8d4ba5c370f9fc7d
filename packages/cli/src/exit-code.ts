// The exit code of a command that ran in a sandbox, as a shell would tell it.
import { constants } from 'node:os';

/** The agent's words for the signals that end commands in practice. */
const SIGNALS: Readonly<Record<string, NodeJS.Signals>> = {
  'signal: hangup': 'SIGHUP',
  'signal: interrupt': 'SIGINT',
  'signal: aborted': 'SIGABRT',
  'signal: killed': 'SIGKILL',
  'signal: segmentation fault': 'SIGSEGV',
  'signal: broken pipe': 'SIGPIPE',
  'signal: terminated': 'SIGTERM',
};

/** 128 and the signal's number for a command that a signal ended (POSIX, section 2.8.2 of the shell language). */
export function shellExitCode({ exitCode, error }: { readonly exitCode: number; readonly error: string }): number {
  if (exitCode >= 0) return exitCode;
  return signalExitCode(SIGNALS[error] ?? 'SIGKILL');
}

export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
