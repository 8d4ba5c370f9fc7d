import assert from 'node:assert/strict';
import { mkdtempDisposable, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createAuthority, issueWildcard } from './certificate-authority.ts';
import { openCertificateFiles } from './certificate-files.ts';

const DOMAIN = 'box.example.com';

test('given files are served, taken again when they change, and kept when they cannot be used', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'sandport-tls-'));
  const files = { cert: join(root.path, 'cert.pem'), key: join(root.path, 'key.pem') };
  const authority = await createAuthority();
  const put = async (domain: string) => {
    const pair = await issueWildcard(authority, domain);
    await writeFile(files.cert, pair.cert);
    await writeFile(files.key, pair.key);
    return pair;
  };
  const open = () => openCertificateFiles(files, join(root.path, 'tls'), DOMAIN);
  await assert.rejects(open(), /--tls-cert ".*" cannot be read/);
  const first = await put(DOMAIN);
  const source = await open();
  const served = () => ({ cert: source.current().cert, key: source.current().key });
  assert.deepEqual(served(), first);
  assert.equal(await source.renew(), false);
  const second = await put(DOMAIN);
  assert.equal(await source.renew(), true);
  assert.deepEqual(served(), second);
  await writeFile(files.key, first.key);
  await assert.rejects(source.renew(), /the key is not the one of the certificate/);
  await put('elsewhere.example');
  await assert.rejects(source.renew(), { code: 'validation_failed', message: /is not for \*\.box\.example\.com/ });
  await rm(files.cert);
  await assert.rejects(source.renew(), /cannot be read/);
  assert.deepEqual(served(), second);
});
