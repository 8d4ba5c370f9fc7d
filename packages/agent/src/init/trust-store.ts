// Makes programs of the sandbox trust the authority that signs for hosts whose requests get headers on their way out.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { reportProblem } from '../logs/problems.ts';

/** Where Debian keeps what an administrator adds, and where Node is pointed to. */
const AUTHORITY_FILE = '/usr/local/share/ca-certificates/sandport-egress.crt';
/** What OpenSSL, GnuTLS, curl, git and Go read: of Debian and Alpine, of Fedora. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'];
const BEGIN = '# begin sandport egress\n';
const END = '# end sandport egress\n';

/** Puts the authority in, in place of an earlier one, or takes it out. */
export function writeTrustStore(root: string, authority: string | undefined): void {
  try {
    const file = join(root, AUTHORITY_FILE);
    if (authority !== undefined) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, authority, { mode: 0o644 });
    } else if (existsSync(file)) {
      rmSync(file);
    } else {
      return;
    }
    for (const bundle of BUNDLES.map((path) => join(root, path)).filter((path) => existsSync(path))) {
      const before = readFileSync(bundle, 'latin1');
      const start = before.indexOf(BEGIN);
      const end = before.indexOf(END, start);
      const own = start === -1 || end === -1 ? before : before.slice(0, start) + before.slice(end + END.length);
      const gap = own === '' || own.endsWith('\n') ? '' : '\n';
      writeFileSync(bundle, authority === undefined ? own : `${own}${gap}${BEGIN}${authority}${END}`, 'latin1');
    }
  } catch (error) {
    reportProblem('trust store not written', error);
  }
}

/** For programs that bring their own list of authorities. */
export function trustVariables(root: string, authority: string | undefined): [name: string, value: string][] {
  if (authority === undefined) return [];
  const bundle = BUNDLES.find((path) => existsSync(join(root, path)));
  return [
    ['NODE_EXTRA_CA_CERTS', AUTHORITY_FILE],
    ...(bundle === undefined
      ? []
      : ['SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE'].map((name): [string, string] => [name, bundle])),
  ];
}
