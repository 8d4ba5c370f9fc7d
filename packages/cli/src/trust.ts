// Makes this process trust the server's own authority, beside the machine's.
import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';

/** @param caPath PEM file */
export async function trustAuthority(caPath: string): Promise<void> {
  setDefaultCACertificates([...getCACertificates('default'), await readFile(caPath, 'utf8')]);
}
