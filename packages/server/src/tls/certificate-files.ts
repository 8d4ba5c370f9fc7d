// A certificate that somebody else keeps up to date: two PEM files, read again when they change.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SandportError } from '@sandport/protocol/errors';
import { formatHostName } from '@sandport/protocol/host-name';
import { writeFileAtomically } from '../files.ts';
import type { PemPair } from './certificate-authority.ts';
import { type CertificateSource, systemBundle } from './certificate-source.ts';

const CHECK_MS = 5000;

export interface CertificateFiles {
  /** The certificate with those that lead to its authority. */
  readonly cert: string;
  readonly key: string;
}

/**
 * Opens the files. When they change to a pair that cannot be used, the one before is served on.
 *
 * @param directory where the bundle for clients goes
 * @throws SandportError `validation_failed` when they cannot be used now
 */
export async function openCertificateFiles(
  files: CertificateFiles,
  directory: string,
  domain: string,
): Promise<CertificateSource> {
  let pair = await readPair(files, domain);
  const ticketKeys = randomBytes(48).toString('base64');
  const bundlePath = join(directory, 'bundle.pem');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFileAtomically(bundlePath, `${await systemBundle()}\n${pair.cert}`, 0o644);
  return {
    checkMs: CHECK_MS,
    authorityPath: resolve(files.cert),
    bundlePath,
    current: () => ({ ...pair, ticketKeys }),
    async renew() {
      const next = await readPair(files, domain);
      if (next.cert === pair.cert && next.key === pair.key) return false;
      pair = next;
      return true;
    },
  };
}

async function readPair(files: CertificateFiles, domain: string): Promise<PemPair> {
  const cert = await read('--tls-cert', files.cert);
  const key = await read('--tls-key', files.key);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
    if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('the key is not the one of the certificate');
  } catch (error) {
    throw unusable(`${files.cert} and ${files.key} are no certificate and its key: ${(error as Error).message}`, error);
  }
  if (leaf.checkHost(formatHostName(3000, 'example', domain)) === undefined) {
    throw unusable(`${files.cert} is not for *.${domain} (it is for ${leaf.subjectAltName ?? leaf.subject})`);
  }
  return { cert, key };
}

async function read(option: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw unusable(`${option} "${path}" cannot be read: ${(error as Error).message}`, error);
  }
}

function unusable(message: string, cause?: unknown): SandportError {
  return new SandportError('validation_failed', message, { cause });
}
