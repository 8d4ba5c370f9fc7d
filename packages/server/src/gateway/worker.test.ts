// The worker as a process: TLS, its control link, and its end.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { describe, it } from 'node:test';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { Route } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { HttpOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';
import { secondTls } from './testing/test-tls.ts';
import { waitUntil } from './testing/wait-until.ts';

const routeTo = (origin: HttpOrigin, generation = 'g1'): Route => ({
  sandboxId: 'abc',
  generation,
  address: origin.address,
  access: { kind: 'public' },
});

/** A server that answers at once, or at `/wait` when the test says so. */
async function waiting(): Promise<HttpOrigin> {
  const origin = await HttpOrigin.start((incoming, response) => {
    if (incoming.url === '/wait') {
      response.write('begun');
      origin.server.once('go', () => response.end('ended'));
    } else {
      response.end('at once');
    }
  });
  // One for each request that waits.
  origin.server.setMaxListeners(0);
  return origin;
}

const get = (origin: HttpOrigin, path = '/') => `GET ${path} HTTP/1.1\r\nHost: ${origin.port}-abc.${DOMAIN}\r\n\r\n`;

async function secure(control: FakeControl, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: '127.0.0.1', port: control.port, rejectUnauthorized: false, ...options });
  await once(socket, 'secureConnect');
  return socket;
}

describe('gateway worker', () => {
  it('ends TLS, resumes sessions, and takes a new certificate without cutting connections', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    const first = await secure(control, { ALPNProtocols: ['http/1.1'] });
    const session = once(first, 'session');
    assert.equal(first.alpnProtocol, 'http/1.1');
    first.write(get(origin));
    const [answer] = await once(first, 'data');
    assert.match(String(answer), /at once/);
    const again = await secure(control, { session: (await session)[0] as Buffer });
    assert.equal(again.isSessionReused(), true);
    again.destroy();

    control.send({ type: 'set-tls', tls: secondTls });
    // Messages are taken in turn: once this one is applied, so is the one before it.
    await control.apply({ type: 'delete-route', sandboxId: 'none' });
    const second = await secure(control);
    assert.equal(second.getPeerCertificate().subject.CN, 'second.box.test');
    second.destroy();
    first.write(get(origin));
    const [later] = await once(first, 'data');
    assert.match(String(later), /at once/);
    first.destroy();
  });

  it('refuses TLS below 1.2', async () => {
    await using control = await FakeControl.start([]);
    const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
    await assert.rejects(secure(control, old), /alert|ECONNRESET|protocol/i);
  });

  it('resets TLS clients too when a sandbox ends', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    const socket = await secure(control);
    socket.write(get(origin, '/wait'));
    await once(socket, 'data');
    const failed = once(socket, 'close').then(
      () => 'a clean end',
      (error: NodeJS.ErrnoException) => error.code,
    );
    await control.apply({ type: 'delete-route', sandboxId: 'abc' });
    assert.equal(await failed, 'ECONNRESET');
  });

  it('goes on serving while the control process is away, and takes its snapshot when it is back', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    using client = new RawClient(control.port);
    client.send(get(origin, '/wait'));
    await client.expect(/begun/);
    await control.disappear();
    using other = new RawClient(control.port);
    other.send(get(origin));
    await other.expect(/at once/);

    control.routes = [routeTo(origin), { ...routeTo(origin), sandboxId: 'new' }];
    const ready = control.next((message) => message.type === 'ready');
    await control.listen();
    await ready;
    // What is the same in the new snapshot was not cut.
    origin.server.emit('go');
    await client.expect(/ended/);
    other.send(get(origin).replace('-abc', '-new'));
    await other.expect(/at once/);
  });

  it('cuts what a new snapshot no longer has', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    using client = new RawClient(control.port);
    client.send(get(origin, '/wait'));
    await client.expect(/begun/);
    await control.disappear();
    control.routes = [routeTo(origin, 'g2')];
    await control.listen();
    assert.equal(await client.untilEnded(), 'ECONNRESET');
  });

  for (const how of ['a stop message', 'SIGTERM'] as const) {
    it(`finishes what is open at ${how}, takes nothing new, and ends with 0`, async () => {
      await using origin = await waiting();
      await using control = await FakeControl.start([routeTo(origin)]);
      control.ending = true;
      using idle = new RawClient(control.port);
      idle.send(get(origin));
      await idle.expect(/at once/);
      using busy = new RawClient(control.port);
      busy.send(get(origin, '/wait'));
      await busy.expect(/begun/);
      const exited = once(control.worker, 'exit');
      if (how === 'SIGTERM') control.worker.kill('SIGTERM');
      else control.send({ type: 'stop', graceMs: 10_000 });
      assert.equal(await idle.untilEnded(), 'end');
      using late = new RawClient(control.port);
      assert.equal(await late.untilEnded(), 'ECONNREFUSED');
      origin.server.emit('go');
      await busy.expect(/ended/);
      assert.equal(await busy.untilEnded(), 'end');
      assert.equal((await exited)[0], 0);
    });
  }

  it('finishes the streams of HTTP/2 connections too, and says that no more are taken', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    control.ending = true;
    const session = connectHttp2(`http://127.0.0.1:${control.port}`);
    try {
      const stream = session.request({ ':authority': `${origin.port}-abc.${DOMAIN}`, ':path': '/wait' });
      assert.equal(String((await once(stream, 'data'))[0]), 'begun');
      const exited = once(control.worker, 'exit');
      const goneAway = once(session, 'goaway');
      control.send({ type: 'stop', graceMs: 10_000 });
      assert.equal((await goneAway)[0], 0);
      origin.server.emit('go');
      let rest = '';
      for await (const chunk of stream) rest += chunk;
      assert.equal(rest, 'ended');
      assert.equal((await exited)[0], 0);
    } finally {
      session.destroy();
    }
  });

  it('cuts what is open when the time it was given is over', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    control.ending = true;
    using busy = new RawClient(control.port);
    busy.send(get(origin, '/wait'));
    await busy.expect(/begun/);
    const exited = once(control.worker, 'exit');
    control.send({ type: 'stop', graceMs: 50 });
    assert.equal((await exited)[0], 0);
    await busy.untilEnded();
  });

  it('loses nothing but its own requests when it is killed beside another', async () => {
    await using origin = await waiting();
    await using first = await FakeControl.start([routeTo(origin)]);
    await using second = await FakeControl.start([routeTo(origin)], [], undefined, first.port);
    await using clients = new AsyncDisposableStack();
    const busy = Array.from({ length: 32 }, () => clients.use(new RawClient(first.port)));
    for (const client of busy) client.send(get(origin, '/wait'));
    for (const client of busy) await client.expect(/begun/);
    first.ending = true;
    const exited = once(first.worker, 'exit');
    first.worker.kill('SIGKILL');
    await exited;
    // The kernel has ended the connections of the one that is gone.
    const lost = () => busy.filter(({ ended }) => ended !== undefined).length;
    await waitUntil(() => lost() > 0, 'the end of its connections');
    origin.server.emit('go');
    let kept = 0;
    for (const client of busy) {
      if (client.ended !== undefined) continue;
      await client.expect(/ended/);
      kept++;
    }
    assert.equal(kept + lost(), busy.length);
    assert.ok(kept > 0);
    // Every new connection goes to the one that is left.
    for (let i = 0; i < 8; i++) {
      using client = new RawClient(second.port);
      client.send(get(origin));
      await client.expect(/at once/);
    }
  });

  it('does not end at SIGINT, which Ctrl-C sends to the whole group', async () => {
    await using origin = await waiting();
    await using control = await FakeControl.start([routeTo(origin)]);
    control.worker.kill('SIGINT');
    // A signal that ended it would be seen before this second one is answered.
    await control.apply({ type: 'set-route', route: routeTo(origin) });
    using client = new RawClient(control.port);
    client.send(get(origin));
    await client.expect(/at once/);
    assert.equal(control.worker.exitCode, null);
  });

  it('ends by itself when no control process comes back', async () => {
    await using control = await FakeControl.start([], [], 300);
    control.ending = true;
    const exited = once(control.worker, 'exit');
    await control.disappear();
    assert.equal((await exited)[0], 0);
  });
});
