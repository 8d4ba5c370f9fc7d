// gVisor's versions are dates: `runsc version release-20240729.0`, and in Debian's packages `0.0~20240729.0-4~bpo12+2`.

/** The oldest gVisor that can checkpoint a sandbox with open connections. */
export const OLDEST_RUNSC = 20_240_729;

/**
 * @param {string} text a version, or what `runsc --version` prints
 * @returns {number | undefined} such as 20240729; undefined when there is no date in it
 */
export function parseRunscVersion(text) {
  const match = /(?<!\d)(20\d{6})(?!\d)/.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** @param {string} text */
export function isRecentRunsc(text) {
  return (parseRunscVersion(text) ?? 0) >= OLDEST_RUNSC;
}
