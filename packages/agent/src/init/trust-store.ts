// Makes programs of the sandbox trust the authority that signs for hosts whose requests get headers on their way out.
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { reportProblem } from '../logs/problems.ts';

/** Where Debian keeps what an administrator adds, and where Node is pointed to. */
const AUTHORITY_FILE = '/usr/local/share/ca-certificates/sandport-egress.crt';
/** What OpenSSL, GnuTLS, curl, git and Go read: of Debian and Alpine, of Fedora. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt'];
/** Those of distributions have a quarter of a megabyte. */
const MAX_BUNDLE = 4_194_304;
const BEGIN = '# begin sandport egress\n';
const END = '# end sandport egress\n';

/**
 * Puts the authority in, in place of an earlier one, or takes it out. Programs of the sandbox may have put anything where
 * the files are: what is no regular file of a bounded size is reported and left alone.
 */
export function writeTrustStore(root: string, authority: string | undefined): void {
  const file = join(root, AUTHORITY_FILE);
  // Only an authority that was put in has to be taken out.
  if (authority === undefined && !existsSync(file)) return;
  attempt(AUTHORITY_FILE, () => {
    if (authority === undefined) return rmSync(file);
    mkdirSync(dirname(file), { recursive: true });
    edit(file, constants.O_CREAT, () => authority);
  });
  for (const path of BUNDLES) {
    const bundle = join(root, path);
    if (existsSync(bundle)) attempt(path, () => edit(bundle, 0, (before) => bundleWith(before, authority)));
  }
}

function bundleWith(before: string, authority: string | undefined): string {
  const start = before.indexOf(BEGIN);
  const end = before.indexOf(END, start);
  const own = start === -1 || end === -1 ? before : before.slice(0, start) + before.slice(end + END.length);
  const gap = own === '' || own.endsWith('\n') ? '' : '\n';
  return authority === undefined ? own : `${own}${gap}${BEGIN}${authority}${END}`;
}

function attempt(path: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    reportProblem(`${path} not written`, error);
  }
}

/** In place, as the file may be a link. */
function edit(path: string, flags: number, change: (before: string) => string): void {
  // A pipe that somebody has put there is not waited for until it has another end.
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NONBLOCK | flags, 0o644);
  try {
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw new Error('it is no regular file');
    if (stats.size > MAX_BUNDLE) throw new Error(`it has ${stats.size} bytes, more than ${MAX_BUNDLE}`);
    const before = Buffer.alloc(stats.size);
    const length = readSync(descriptor, before, 0, before.length, 0);
    const after = Buffer.from(change(before.toString('latin1', 0, length)), 'latin1');
    let written = 0;
    while (written < after.length) written += writeSync(descriptor, after, written, after.length - written, written);
    ftruncateSync(descriptor, after.length);
  } finally {
    closeSync(descriptor);
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
