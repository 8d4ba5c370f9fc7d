import { constants } from 'node:os';

/** An Error with the system's code, as Node's own have it. */
export function systemError(call: string, errno: number): NodeJS.ErrnoException {
  const [code] = Object.entries(constants.errno).find(([, number]) => number === errno) ?? [`E${errno}`];
  return Object.assign(new Error(`${call} failed with ${code}`), { code });
}
