// The certificate authority of one sandbox, for the hosts that its rules name. Its key is derived, so that every
// process that is told the secret has the same; it never enters the sandbox.
import { createECDH, createHash, randomBytes } from 'node:crypto';
import 'reflect-metadata';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;
/** Sandboxes live for less; their clocks may be behind after a pause. */
const BACKDATE_MS = 30 * DAY_MS;
const CA_MS = 365 * DAY_MS;
const LEAF_MS = 30 * DAY_MS;

export interface Authority {
  readonly name: string;
  readonly keys: CryptoKeyPair;
}

/** @param secret at least 32 bytes, hex */
export async function openAuthority(secret: string): Promise<Authority> {
  const curve = createECDH('prime256v1');
  const key = createHash('sha256').update(secret).digest();
  curve.setPrivateKey(key);
  const point = curve.getPublicKey();
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  // The whole of it, which `getPrivateKey` gives without the zeros that it may begin with (RFC 7518, section 6.2.2.1).
  const d = key.toString('base64url');
  const [publicKey, privateKey] = await Promise.all([
    crypto.subtle.importKey('jwk', jwk, KEY, true, ['verify']),
    crypto.subtle.importKey('jwk', { ...jwk, d }, KEY, false, ['sign']),
  ]);
  const fingerprint = createHash('sha256').update(point).digest('hex').slice(0, 16);
  return { name: `CN=Sandport egress ${fingerprint}`, keys: { publicKey, privateKey } };
}

/** What the sandbox is to trust, as PEM. */
export async function authorityCertificate({ name, keys }: Authority): Promise<string> {
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name,
    ...validity(CA_MS),
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

export function createLeafKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
}

/** A certificate for one host name, as PEM. */
export async function issueLeaf(authority: Authority, host: string, publicKey: CryptoKey): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // A common name has 64 characters at most (RFC 5280, appendix A.1); the alternative name is what counts.
    subject: `CN=${host.length <= 64 ? host : 'sandport'}`,
    issuer: authority.name,
    ...validity(LEAF_MS),
    publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: host }]),
      await AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
      await SubjectKeyIdentifierExtension.create(publicKey),
    ],
  });
  return `${certificate.toString('pem')}\n`;
}

function validity(ms: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now();
  return { notBefore: new Date(now - BACKDATE_MS), notAfter: new Date(now + ms) };
}

/** Positive and at most 20 bytes (RFC 5280, section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString('hex');
}
