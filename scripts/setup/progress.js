// One line for each long step as it begins, and one with its time as it ends. Nothing is printed for what takes no time.

/** @param {string} line */
export function log(line) {
  process.stderr.write(`sandport: ${line}\n`);
}

/** @param {number} since milliseconds as of `Date.now()` */
export function seconds(since) {
  return `${((Date.now() - since) / 1000).toFixed(1)} s`;
}

/**
 * Runs one named step.
 *
 * @template T
 * @param {string} name such as `base image`
 * @param {(progress: (what: string) => void) => T | Promise<T>} action calls `progress` with what it is about to do
 * @returns {Promise<T>}
 */
export async function step(name, action) {
  const start = Date.now();
  log(`${name} ...`);
  const result = await action((what) => log(`${name}: ${what} (${seconds(start)})`));
  log(`${name}: done in ${seconds(start)}`);
  return result;
}
