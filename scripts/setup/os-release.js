// Reads /etc/os-release (os-release(5)): which distribution this machine runs.
import { readFileSync } from 'node:fs';

/** @typedef {{ id: string, codename: string, name: string, family: 'debian' | 'ubuntu' | 'other' }} OsRelease */

/**
 * @param {string} text content of the file
 * @returns {OsRelease}
 */
export function parseOsRelease(text) {
  /** @type {Record<string, string>} */
  const fields = {};
  for (const line of text.split('\n')) {
    const match = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line.trim());
    if (match === null) continue;
    const [, key, raw] = match;
    const quoted = /^(["'])(.*)\1$/.exec(raw);
    fields[key] = (quoted === null ? raw : quoted[2]).replace(/\\(.)/g, '$1');
  }
  const id = fields.ID ?? 'linux';
  return {
    id,
    codename: fields.VERSION_CODENAME ?? '',
    name: fields.PRETTY_NAME ?? id,
    family: id === 'debian' || id === 'ubuntu' ? id : 'other',
  };
}

/** @returns {OsRelease} */
export function readOsRelease() {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return parseOsRelease(readFileSync(path, 'utf8'));
    } catch (error) {
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return parseOsRelease('');
}
