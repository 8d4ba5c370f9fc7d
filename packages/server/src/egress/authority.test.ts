import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { authorityCertificate, createLeafKeys, issueLeaf, openAuthority } from './authority.ts';

/** A secret whose key begins with this byte. */
function secretWith(first: number): string {
  for (let number = 0; ; number++) {
    const secret = `secret ${number}`;
    if (createHash('sha256').update(secret).digest()[0] === first) return secret;
  }
}

test('an authority is the same for its secret, and signs for hosts, whatever its key begins with', async () => {
  for (const first of [0, 1, 0x80, 0xff]) {
    const secret = secretWith(first);
    const [authority, again] = await Promise.all([openAuthority(secret), openAuthority(secret)]);
    const ca = new X509Certificate(await authorityCertificate(authority));
    const { publicKey } = await createLeafKeys();
    const leaf = new X509Certificate(await issueLeaf(again, 'api.example.com', publicKey));
    assert(leaf.verify(ca.publicKey), `${first}`);
    assert(leaf.checkIssued(ca));
    assert.equal(leaf.checkHost('api.example.com'), 'api.example.com');
  }
  assert.notEqual((await openAuthority('one')).name, (await openAuthority('another')).name);
});
