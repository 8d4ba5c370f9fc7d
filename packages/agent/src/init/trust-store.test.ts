import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtempDisposable, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { trustVariables, writeTrustStore } from './trust-store.ts';

test('an authority is added, replaced and taken away, and what was trusted before stays', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-trust-'));
  const bundle = join(root.path, 'etc/ssl/certs/ca-certificates.crt');
  await mkdir(join(root.path, 'etc/ssl/certs'), { recursive: true });
  await writeFile(bundle, 'the others');
  writeTrustStore(root.path, 'first\n');
  assert.match(await readFile(bundle, 'utf8'), /^the others\n.*\nfirst\n.*\n$/);
  writeTrustStore(root.path, 'second\n');
  assert.doesNotMatch(await readFile(bundle, 'utf8'), /first/);
  const own = join(root.path, 'usr/local/share/ca-certificates/sandport-egress.crt');
  assert.equal(await readFile(own, 'utf8'), 'second\n');
  assert.equal(
    new Map(trustVariables(root.path, 'second\n')).get('SSL_CERT_FILE'),
    '/etc/ssl/certs/ca-certificates.crt',
  );
  writeTrustStore(root.path, undefined);
  assert.equal(await readFile(bundle, 'utf8'), 'the others\n');
  await assert.rejects(readFile(own));
  assert.deepEqual(trustVariables(root.path, undefined), []);
});

test('an image without a list of authorities gets the file alone', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-trust-'));
  writeTrustStore(root.path, 'one\n');
  assert.deepEqual(
    trustVariables(root.path, 'one\n').map(([name]) => name),
    ['NODE_EXTRA_CA_CERTS'],
  );
});

test('a pipe, a device or an endless file in place of the files keeps nobody waiting, and is left alone', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-trust-'));
  const bundle = join(root.path, 'etc/ssl/certs/ca-certificates.crt');
  const own = join(root.path, 'usr/local/share/ca-certificates/sandport-egress.crt');
  await mkdir(join(root.path, 'etc/ssl/certs'), { recursive: true });
  await mkdir(join(root.path, 'usr/local/share/ca-certificates'), { recursive: true });
  for (const path of [bundle, own]) execFileSync('mkfifo', [path]);
  writeTrustStore(root.path, 'one\n');
  await rm(own);
  writeTrustStore(root.path, 'one\n');
  assert.equal(
    await readFile(own, 'utf8'),
    'one\n',
    'one file that is none does not keep the others from being written',
  );
  await rm(bundle);
  await symlink('/dev/zero', bundle);
  writeTrustStore(root.path, 'one\n');
  await rm(bundle);
  await writeFile(bundle, '');
  await truncate(bundle, 2 ** 33);
  writeTrustStore(root.path, 'one\n');
  writeTrustStore(root.path, undefined);
  await assert.rejects(readFile(own));
});
