/**
 * Tells of a part whether it is asked for.
 *
 * @param only those that are asked for; none: all
 * @param names of all that there are
 * @throws Error when something else is asked for
 */
export function wantedParts(only: readonly string[], names: readonly string[]): (name: string) => boolean {
  const unknown = only.find((name) => !names.includes(name));
  if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${names.join(',')}`);
  return (name) => only.length === 0 || only.includes(name);
}
