import assert from 'node:assert/strict';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempDisposable, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer, rootCertificates } from 'node:tls';
import type { GatewayTls } from '@sandport/protocol/routes';
import { type CertificateSource, openOwnAuthority } from './certificate-source.ts';

const prefix = join(tmpdir(), 'sandport-tls-');
const DAY_MS = 86_400_000;

async function serve(context: TestContext, { cert, key }: GatewayTls): Promise<number> {
  const server = createServer({ cert, key }, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  server.on('tlsClientError', () => {});
  context.after(() => new Promise((resolve) => server.close(resolve)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Makes a connection that is verified in full. */
async function verify(port: number, servername: string, ca: string): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', servername, ca });
  try {
    await once(socket, 'secureConnect');
    assert(socket.authorized);
  } finally {
    socket.destroy();
  }
}

function certificate(source: CertificateSource): X509Certificate {
  return new X509Certificate(source.current().cert);
}

test('a client that trusts the authority reaches every public URL of the domain, and no other name', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  const source = await openOwnAuthority(root.path, 'box.example.com');
  const port = await serve(context, source.current());
  const authority = await readFile(source.authorityPath, 'utf8');
  for (const name of [
    '3000-i62mff4ahtrdfdkyn2esc.box.example.com',
    'api.box.example.com',
    'box.example.com',
    'localhost',
  ]) {
    await verify(port, name, authority);
    await verify(port, name, await readFile(source.bundlePath, 'utf8'));
  }
  for (const name of ['a.b.box.example.com', 'example.com', 'box.example.org']) {
    await assert.rejects(verify(port, name, authority), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
  }
});

test('a client that does not trust the authority is not deceived', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  await using other = await mkdtempDisposable(prefix);
  const port = await serve(context, (await openOwnAuthority(root.path, 'box.test')).current());
  const foreign = await readFile((await openOwnAuthority(other.path, 'box.test')).authorityPath, 'utf8');
  await assert.rejects(verify(port, 'a.box.test', foreign), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
});

test('the longest domain that can be set has a certificate that verifies', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  const label = 'a'.repeat(46);
  const domain = [label, label, label, label, 'b'].join('.');
  const source = await openOwnAuthority(root.path, domain);
  const port = await serve(context, source.current());
  await verify(port, `65535-i62mff4ahtrdfdkyn2esc.${domain}`, await readFile(source.authorityPath, 'utf8'));
});

test('the authority may sign certificates only, the certificate may serve only, for times that clients take', async () => {
  await using root = await mkdtempDisposable(prefix);
  const source = await openOwnAuthority(root.path, 'box.test');
  const authority = new X509Certificate(await readFile(source.authorityPath));
  const leaf = certificate(source);
  assert.deepEqual([authority.ca, leaf.ca], [true, false]);
  assert(leaf.checkIssued(authority) && leaf.verify(authority.publicKey));
  assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
  assert(Date.parse(leaf.validTo) - Date.parse(leaf.validFrom) <= 398 * DAY_MS);
  assert(Date.parse(leaf.validFrom) < Date.now() - DAY_MS / 2, 'clocks of clients may be late');
  assert(Date.parse(authority.validTo) > Date.parse(leaf.validTo));
});

test('keys are readable by nobody but the owner; what clients have to trust is readable by all', async () => {
  await using root = await mkdtempDisposable(prefix);
  const directory = join(root.path, 'tls');
  await openOwnAuthority(directory, 'box.test');
  const modes = async (name: string): Promise<number> => (await stat(join(directory, name))).mode & 0o777;
  assert.equal(await modes('ca-key.pem'), 0o600);
  assert.equal(await modes('server-key.pem'), 0o600);
  assert.equal(await modes('ca.pem'), 0o644);
  assert.equal(await modes('bundle.pem'), 0o644);
  assert.doesNotMatch(await readFile(join(directory, 'bundle.pem'), 'utf8'), /PRIVATE KEY/);
});

test('after a restart authority and certificate are the same', async () => {
  await using root = await mkdtempDisposable(prefix);
  const first = await openOwnAuthority(root.path, 'box.test');
  const authority = await readFile(first.authorityPath, 'utf8');
  const again = await openOwnAuthority(root.path, 'box.test');
  assert.equal(again.current().cert, first.current().cert);
  assert.equal(again.current().key, first.current().key);
  assert.equal(await readFile(again.authorityPath, 'utf8'), authority);
  assert.equal(await again.renew(), false);
});

test('another domain has another certificate of the same authority', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  const first = await openOwnAuthority(root.path, 'one.test');
  const authority = await readFile(first.authorityPath, 'utf8');
  const second = await openOwnAuthority(root.path, 'two.test');
  const port = await serve(context, second.current());
  await verify(port, '80-a.two.test', authority);
  await assert.rejects(verify(port, '80-a.one.test', authority), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('a certificate is renewed a month before its end, and not earlier', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  const source = await openOwnAuthority(root.path, 'box.test');
  const end = Date.parse(certificate(source).validTo);
  context.mock.timers.enable({ apis: ['Date'], now: end - 31 * DAY_MS });
  assert.equal(await source.renew(), false);
  context.mock.timers.setTime(end - 29 * DAY_MS);
  assert.equal(await source.renew(), true);
  assert(Date.parse(certificate(source).validTo) > end);
  assert.equal(await readFile(join(root.path, 'server.pem'), 'utf8'), source.current().cert);
  assert.equal(await source.renew(), false);
});

test('a key that does not belong to its certificate, as after a crash, is replaced with it', async () => {
  await using root = await mkdtempDisposable(prefix);
  await using other = await mkdtempDisposable(prefix);
  await openOwnAuthority(root.path, 'box.test');
  const foreign = await openOwnAuthority(other.path, 'box.test');
  await writeFile(join(root.path, 'server-key.pem'), foreign.current().key);
  const source = await openOwnAuthority(root.path, 'box.test');
  assert(certificate(source).checkPrivateKey(createPrivateKey(source.current().key)));
});

test('an authority without its key is made anew, and the certificate with it', async (context) => {
  await using root = await mkdtempDisposable(prefix);
  await openOwnAuthority(root.path, 'box.test');
  await rm(join(root.path, 'ca-key.pem'));
  const source = await openOwnAuthority(root.path, 'box.test');
  const port = await serve(context, source.current());
  await verify(port, 'a.box.test', await readFile(source.authorityPath, 'utf8'));
});

test('the bundle has the authorities of the machine too', async () => {
  await using root = await mkdtempDisposable(prefix);
  const { bundlePath } = await openOwnAuthority(root.path, 'box.test');
  const count = (await readFile(bundlePath, 'utf8')).match(/BEGIN CERTIFICATE/g)!.length;
  assert(count > Math.min(20, rootCertificates.length), `${count}`);
});
