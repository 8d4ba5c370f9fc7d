// Where the gateway's certificate comes from. The own authority is one source; given files and ACME fit the same form.
import { createPrivateKey, randomBytes, X509Certificate } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { formatHostName } from '@sandport/protocol/host-name';
import type { GatewayTls } from '@sandport/protocol/routes';
import { readIfThere, writeFileAtomically } from '../files.ts';
import type { PemPair } from './certificate-authority.ts';

export interface CertificateSource {
  /** What the gateways serve now. */
  current(): GatewayTls;
  /** Makes a new certificate when the present one ends soon, or takes one that has been put there; returns whether it did. */
  renew(): Promise<boolean>;
  /** How often `renew` is to be called, in milliseconds. */
  readonly checkMs: number;
  /** PEM file of the authority that clients have to trust. */
  readonly authorityPath: string;
  /** PEM file of the machine's authorities and this one, for programs that take one bundle only. */
  readonly bundlePath: string;
}

const CHECK_MS = 12 * 3_600_000;
const RENEW_BEFORE_MS = 30 * 86_400_000;
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
];

/** Opens the own authority in `directory`, made at the first call. */
export async function openOwnAuthority(directory: string, domain: string): Promise<CertificateSource> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const authority = await keep(directory, 'ca', async () => (await makers()).createAuthority());
  const authorityPath = join(directory, 'ca.pem');
  const bundlePath = join(directory, 'bundle.pem');
  await writeFileAtomically(bundlePath, `${await systemBundle()}\n${authority.cert}`, 0o644);
  const issue = async (): Promise<PemPair> => (await makers()).issueWildcard(authority, domain);
  const ticketKeys = randomBytes(48).toString('base64');
  let leaf = await keep(directory, 'server', issue);

  async function renew(): Promise<boolean> {
    if (isGood(leaf, authority, domain)) return false;
    leaf = await issue();
    await save(directory, 'server', leaf);
    return true;
  }
  await renew();
  return { checkMs: CHECK_MS, authorityPath, bundlePath, renew, current: () => ({ ...leaf, ticketKeys }) };
}

/** Loaded where a certificate is made: most starts find theirs. */
function makers(): Promise<typeof import('./certificate-authority.ts')> {
  return import('./certificate-authority.ts');
}

function isGood(leaf: PemPair, authority: PemPair, domain: string): boolean {
  const certificate = new X509Certificate(leaf.cert);
  return (
    certificate.checkHost(formatHostName(3000, 'example', domain)) !== undefined &&
    certificate.verify(new X509Certificate(authority.cert).publicKey) &&
    certificate.checkPrivateKey(createPrivateKey(leaf.key)) &&
    Date.parse(certificate.validTo) - Date.now() > RENEW_BEFORE_MS
  );
}

async function keep(directory: string, name: string, make: () => Promise<PemPair>): Promise<PemPair> {
  const cert = await readIfThere(join(directory, `${name}.pem`));
  const key = await readIfThere(join(directory, `${name}-key.pem`));
  if (cert !== undefined && key !== undefined) return { cert, key };
  const pair = await make();
  await save(directory, name, pair);
  return pair;
}

/** A crash in between leaves one without the other, or two that do not belong together: both cases are made anew. */
async function save(directory: string, name: string, pair: PemPair): Promise<void> {
  await writeFileAtomically(join(directory, `${name}-key.pem`), pair.key, 0o600);
  await writeFileAtomically(join(directory, `${name}.pem`), pair.cert, 0o644);
}

/** The authorities that the machine trusts already. */
export async function systemBundle(): Promise<string> {
  for (const path of SYSTEM_BUNDLES) {
    const text = await readFile(path, 'utf8').catch(() => undefined);
    if (text !== undefined) return text;
  }
  return rootCertificates.join('\n');
}
