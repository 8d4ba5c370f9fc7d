// The one connection to the C library, made when it is first needed, and the reaper that goes with it.
import { reportProblem } from '../logs/problems.ts';
import { Libc } from './libc.ts';
import { Reaper } from './reaper.ts';

let connection: { readonly libc: Libc | undefined } | undefined;

/**
 * Undefined on a platform for which there is no addon. Commands then run with what Node offers: without supplementary
 * groups, and with sockets as their output.
 */
export function libc(): Libc | undefined {
  if (connection === undefined) {
    try {
      connection = { libc: new Libc() };
    } catch (error) {
      reportProblem('commands run without supplementary groups and real pipes', error);
      connection = { libc: undefined };
    }
  }
  return connection.libc;
}

/** The same, but only when it has been needed before: loading it takes memory. */
export function loadedLibc(): Libc | undefined {
  return connection?.libc;
}

export const reaper = new Reaper();
