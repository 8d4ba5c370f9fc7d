// What a TLS client is offered by a worker: versions, protocols, and sessions that any worker resumes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { secondTls } from './testing/test-tls.ts';

const REQUEST = `GET /healthz HTTP/1.1\r\nHost: ${DOMAIN}\r\n\r\n`;

let one: FakeControl;
let two: FakeControl;

before(async () => {
  one = await FakeControl.start([]);
  two = await FakeControl.start([]);
});

after(async () => {
  await one?.[Symbol.asyncDispose]();
  await two?.[Symbol.asyncDispose]();
});

async function shake(control: FakeControl, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: control.port, rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** A session as the client may use it again: in TLS 1.3 it comes after the handshake. */
async function sessionOf(control: FakeControl, options: ConnectionOptions): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port: control.port, rejectUnauthorized: false, ...options });
  const [session] = (await once(socket, 'session')) as [Buffer];
  socket.destroy();
  return session;
}

async function isResumed(control: FakeControl, session: Buffer, options: ConnectionOptions): Promise<boolean> {
  const socket = await shake(control, { ...options, session });
  socket.write(REQUEST);
  const [answer] = await once(socket, 'data');
  assert.match(String(answer), /^HTTP\/1\.1 200 /);
  const resumed = socket.isSessionReused();
  socket.destroy();
  return resumed;
}

describe('TLS', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { minVersion: version, maxVersion: version };

    it(`is spoken in ${version}, with sessions that another worker resumes`, async () => {
      const session = await sessionOf(one, options);
      assert.equal(await isResumed(one, session, options), true);
      assert.equal(await isResumed(two, await sessionOf(one, options), options), true);
      const socket = await shake(two, options);
      assert.deepEqual([socket.getProtocol(), socket.isSessionReused()], [version, false]);
      socket.destroy();
    });
  }

  it('takes HTTP/2 before HTTP/1.1, and HTTP/1.1 from who offers nothing or something else', async () => {
    for (const [ALPNProtocols, chosen] of [
      [['http/1.1', 'h2'], 'h2'],
      [['http/1.1'], 'http/1.1'],
      [undefined, false],
    ] as const) {
      const socket = await shake(one, { ...(ALPNProtocols && { ALPNProtocols: [...ALPNProtocols] }) });
      assert.equal(socket.alpnProtocol, chosen);
      socket.destroy();
    }
  });

  it('encrypts with what is fast for both: AES-128 unless the client would rather have ChaCha20', async () => {
    for (const [first, chosen] of [
      ['TLS_AES_256_GCM_SHA384', 'TLS_AES_128_GCM_SHA256'],
      ['TLS_CHACHA20_POLY1305_SHA256', 'TLS_CHACHA20_POLY1305_SHA256'],
    ] as const) {
      const others = ['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'];
      const socket = await shake(one, { ciphers: [first, ...others.filter((name) => name !== first)].join(':') });
      assert.equal(socket.getCipher().name, chosen);
      socket.destroy();
    }
  });

  it('is the same with any name or none in the handshake, for requests name their host themselves', async () => {
    for (const servername of [`3000-one.${DOMAIN}`, 'other.example', undefined]) {
      const socket = await shake(one, servername === undefined ? {} : { servername });
      socket.write(REQUEST);
      const [answer] = await once(socket, 'data');
      assert.match(String(answer), /^HTTP\/1\.1 200 /);
      socket.destroy();
    }
  });

  it('goes on with the certificate before when a new one cannot be used', async () => {
    one.send({ type: 'set-tls', tls: { ...secondTls, key: 'none' } });
    await one.apply({ type: 'delete-route', sandboxId: 'none' });
    const socket = await shake(one, {});
    assert.equal(socket.getPeerCertificate().subject.CN, DOMAIN);
    socket.destroy();
    assert.match(one.output, /certificate not taken/);
  });
});
