// HTTP/2 through a real worker process, over TLS and in the clear.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { connect as dial } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { Route } from '@sandport/protocol/routes';
import { DOMAIN, FakeControl } from '../testing/fake-control.ts';
import { AskingOrigin, HttpOrigin, RawOrigin } from '../testing/origin.ts';

const MIB = 1024 * 1024;

let control: FakeControl;
let session: ClientHttp2Session;

before(async () => {
  control = await FakeControl.start([]);
  session = connect(`https://127.0.0.1:${control.port}`, { rejectUnauthorized: false, maxSessionMemory: 1000 });
  await once(session, 'connect');
});

after(async () => {
  session.destroy();
  await control[Symbol.asyncDispose]();
});

let routes = 0;

async function hostOf(origin: { address: string; port: number }): Promise<string> {
  const sandboxId = `s${++routes}`;
  const route: Route = { sandboxId, generation: 'g1', address: origin.address, access: { kind: 'public' } };
  await control.apply({ type: 'set-route', route });
  return `${origin.port}-${sandboxId}.${DOMAIN}`;
}

function open(host: string, headers: Record<string, string> = {}, over = session): ClientHttp2Stream {
  return over.request({ ':authority': host, ...headers }, { endStream: false });
}

async function text(stream: ClientHttp2Stream): Promise<string> {
  let all = '';
  for await (const chunk of stream) all += String(chunk);
  return all;
}

async function fetchOne(host: string, headers: Record<string, string> = {}, over = session) {
  const stream = open(host, headers, over);
  stream.end();
  const [fields] = await once(stream, 'response');
  return { status: fields[':status'] as number, fields, body: await text(stream) };
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
}

const RST_STREAM = 3;
const END_STREAM = 1;

/** Collects the frames of a byte stream (RFC 9113, section 4.1). */
function frameReader(frames: Frame[]): (chunk: Buffer) => void {
  let rest = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      frames.push({ type: rest[3]!, flags: rest[4]!, stream: rest.readUInt32BE(5) });
      rest = rest.subarray(9 + rest.readUIntBE(0, 3));
    }
  };
}

async function eventually(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('HTTP/2', () => {
  it('says 503 for the parts of a page on a closed port, and 502 to programs', async () => {
    const origin = await HttpOrigin.start((_incoming, response) => response.end());
    const host = await hostOf(origin);
    await origin[Symbol.asyncDispose]();
    const part = await fetchOne(host, { 'sec-fetch-dest': 'script', 'sec-fetch-mode': 'no-cors' });
    assert.deepEqual([part.status, part.fields['retry-after']], [503, '1']);
    assert.equal((await fetchOne(host)).status, 502);
  });

  it('is spoken over TLS, and in the clear by those who know', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => response.end(JSON.stringify(incoming.headers)));
    const host = await hostOf(origin);
    const clear = connect(`http://127.0.0.1:${control.port}`);
    try {
      for (const [over, proto] of [
        [session, 'https'],
        [clear, 'http'],
      ] as const) {
        const { status, body } = await fetchOne(host, { 'x-forwarded-proto': 'lie', cookie: 'a=1; b=2' }, over);
        const seen = JSON.parse(body) as Record<string, string>;
        assert.equal(status, 200);
        assert.equal(seen['x-forwarded-proto'], proto);
        assert.equal(seen['x-forwarded-host'], host);
        assert.equal(seen.host, host);
        assert.equal(seen.cookie, 'a=1; b=2');
      }
    } finally {
      clear.destroy();
    }
  });

  it('routes each stream by its own authority', async () => {
    await using one = await HttpOrigin.start((_request, response) => response.end('one'));
    await using two = await HttpOrigin.start((_request, response) => response.end('two'));
    const hosts = [await hostOf(one), await hostOf(two)];
    const bodies = await Promise.all(Array.from({ length: 40 }, async (_, i) => (await fetchOne(hosts[i % 2]!)).body));
    assert.deepEqual(
      bodies,
      Array.from({ length: 40 }, (_, i) => ['one', 'two'][i % 2]),
    );
  });

  it('gets the same answers in a sandbox’s stead', async () => {
    const gone = await fetchOne(`3000-gone.${DOMAIN}`);
    assert.equal(gone.status, 502);
    assert.equal(gone.fields['content-type'], 'application/json; charset=utf-8');
    assert.equal(gone.body, '{"sandboxId":"gone","message":"The sandbox was not found","code":502}');
    const page = await fetchOne(`3000-gone.${DOMAIN}`, { 'user-agent': 'Chrome' });
    assert.match(page.body, /^<html.*<\/html>$/s);
    assert.equal((await fetchOne('nothing')).status, 400);
    assert.equal((await fetchOne(`49983-gone.${DOMAIN}`, { ':path': '/files/..//init' })).status, 404);
    assert.equal((await fetchOne(`3000-gone.${DOMAIN}`, { host: 'other.example' })).status, 400);
  });

  it('ends an answer that came before its request had ended, also when there is much to write', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      if (incoming.method === 'GET') response.end(Buffer.alloc(16 * MIB));
      else incoming.resume().on('end', () => response.write('answer', () => response.end()));
    });
    const host = await hostOf(origin);
    const frames: Frame[] = [];
    let hold = () => {};
    let go = () => {};
    // Between the two, because a session reads whatever its socket is told.
    await using between = await RawOrigin.start((client) => {
      const gateway = dial(control.port, '127.0.0.1');
      gateway.on('error', () => {}).on('data', frameReader(frames));
      client.pipe(gateway);
      gateway.pipe(client);
      hold = () => void gateway.unpipe(client).pause();
      go = () => void gateway.pipe(client);
    });
    const url = `http://${between.address}:${between.port}`;
    const crowded = connect(url, { settings: { initialWindowSize: 32 * MIB } });
    try {
      await once(crowded, 'connect');
      crowded.setLocalWindowSize(32 * MIB);
      const long = open(host, {}, crowded);
      long.end();
      await once(long, 'response');
      hold();
      const short = open(host, { ':method': 'POST', 'content-length': '2' }, crowded);
      short.resume().write('hi');
      // Time for the answer to stand behind what the client does not take.
      await new Promise((resolve) => setTimeout(resolve, 300));
      long.resume();
      go();
      const ofShort = () => frames.filter(({ stream }) => stream === short.id);
      await eventually(() => ofShort().some(({ type }) => type === RST_STREAM), 'the request to stop');
      const kinds = ofShort().map(({ type, flags }) => (flags & END_STREAM && type !== RST_STREAM ? 'end' : type));
      assert.deepEqual(kinds.slice(-2), ['end', RST_STREAM]);
    } finally {
      crowded.destroy();
    }
  });

  it('streams as data comes, both ways at once', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      response.writeHead(200, { 'content-type': 'application/connect+json' });
      response.flushHeaders();
      incoming.on('data', (chunk: Buffer) => response.write(`got ${chunk}\n`));
      incoming.on('end', () => response.end('end\n'));
    });
    const stream = open(await hostOf(origin), { ':method': 'POST' });
    await once(stream, 'response');
    let received = '';
    stream.on('data', (chunk: Buffer) => {
      received += chunk;
    });
    for (const word of ['a', 'b', 'c']) {
      stream.write(word);
      await eventually(() => received.endsWith(`got ${word}\n`), `the answer to ${word}`);
    }
    stream.end();
    await eventually(() => received === 'got a\ngot b\ngot c\nend\n', 'the end');
  });

  it('passes trailers both ways, and early hints', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload' });
      incoming.resume().on('end', () => {
        response.writeHead(200, { trailer: 'grpc-status' });
        response.write('x');
        response.addTrailers({ 'grpc-status': `0 ${incoming.trailers['x-check']} ${incoming.headers.te}` });
        response.end();
      });
    });
    const stream = session.request(
      { ':authority': await hostOf(origin), ':method': 'POST', te: 'trailers' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-check': '7' }));
    stream.end('body');
    const hints = once(stream, 'headers');
    const trailers = once(stream, 'trailers');
    stream.resume();
    assert.equal((await hints)[0].link, '</a.css>; rel=preload');
    assert.equal((await trailers)[0]['grpc-status'], '0 7 trailers');
  });

  it('asks for the body with 100 only when the server does', async () => {
    await using server = await AskingOrigin.start();
    const stream = open(await hostOf(server.origin), { ':method': 'POST', expect: '100-continue' });
    await once(stream, 'continue');
    assert.equal(server.asked, true);
    stream.end('body');
    assert.equal(await text(stream), 'body');
  });

  it('keeps order and duplicates of fields, and passes on none that belongs to one hop', async () => {
    const lines = ['B: 1', 'A: 2', 'B: 3', 'Connection: x-hop', 'X-Hop: 4', 'Keep-Alive: timeout=5'];
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', (head) => {
        const body = String(head);
        socket.write(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
      });
    });
    const stream = session.request(
      [':authority', await hostOf(origin), ':path', '/', 'c', '1', 'd', '2', 'c', '3', 'te', 'trailers'],
      { endStream: true },
    );
    const raw = new Promise<string[]>((resolve) =>
      stream.once('response', (_fields, _flags, all: string[]) => resolve(all)),
    );
    // Node adds the date that the server did not send.
    assert.deepEqual((await raw).slice(2, 9), ['b', '1', 'a', '2', 'b', '3', 'content-length']);
    const seen = await text(stream);
    assert.match(seen, /\r\nc: 1\r\nd: 2\r\nc: 3\r\n/);
    assert.doesNotMatch(seen, /keep-alive|x-hop/i);
  });

  it('has no body for HEAD and 304', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => {
      response.writeHead(incoming.method === 'HEAD' ? 200 : 304, { 'content-length': '5' }).end();
    });
    const host = await hostOf(origin);
    const head = await fetchOne(host, { ':method': 'HEAD' });
    assert.deepEqual([head.status, head.fields['content-length'], head.body], [200, '5', '']);
    assert.deepEqual((await fetchOne(host)).status, 304);
  });

  it('carries large bodies unharmed', async () => {
    await using origin = await HttpOrigin.start((incoming, response) => incoming.pipe(response));
    const body = randomBytes(16 * MIB);
    const host = await hostOf(origin);
    for (const headers of [{ 'content-length': String(body.length) }, {}] as Record<string, string>[]) {
      const stream = open(host, { ':method': 'PUT', ...headers });
      stream.end(body);
      const hash = createHash('sha256');
      for await (const chunk of stream) hash.update(chunk as Buffer);
      assert.equal(hash.digest('hex'), createHash('sha256').update(body).digest('hex'));
    }
  });

  it('stops reading from a server whose client does not read', async () => {
    let sent = 0;
    await using origin = await HttpOrigin.start((_request, response) => {
      const piece = Buffer.alloc(MIB);
      const more = () => {
        while (sent < 256 && response.write(piece)) sent++;
        if (sent < 256) response.once('drain', more);
      };
      more();
    });
    const stream = open(await hostOf(origin));
    stream.end();
    await once(stream, 'response');
    stream.pause();
    let last = -1;
    for (let same = 0; same < 10; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      same = sent === last ? same + 1 : 0;
      last = sent;
    }
    assert.ok(sent < 128, `${sent} MiB were taken`);
    stream.close(constants.NGHTTP2_CANCEL);
  });

  it('ends the request at the server when the client resets the stream', async () => {
    let ended = false;
    await using origin = await HttpOrigin.start((_request, response) => {
      response.on('close', () => {
        ended = true;
      });
      response.write('first');
    });
    const stream = open(await hostOf(origin), { ':method': 'POST' });
    stream.on('error', () => {});
    await once(stream, 'data');
    stream.close(constants.NGHTTP2_CANCEL);
    await eventually(() => ended, 'the end of the request');
  });

  it('resets the stream when the server breaks off, and serves the others', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'));
    });
    const host = await hostOf(origin);
    const acts: (() => void | Promise<void>)[] = [
      () => void [...origin.sockets][0]?.end(),
      () => void [...origin.sockets][0]?.resetAndDestroy(),
      () => void [...origin.sockets][0]?.write('zz'),
      () => control.apply({ type: 'delete-route', sandboxId: host.split('-')[1]!.split('.')[0]! }),
    ];
    for (const act of acts) {
      const stream = open(host, { ':method': 'POST' });
      await once(stream, 'data');
      const failed = once(stream, 'end').then(
        () => 'a clean end',
        (error: NodeJS.ErrnoException) => error.code,
      );
      await act();
      stream.resume();
      assert.equal(await failed, 'ERR_HTTP2_STREAM_ERROR');
    }
    assert.equal(session.destroyed, false);
    assert.equal((await fetchOne(host)).status, 502);
  });

  it('answers an early response without waiting for the request', async () => {
    await using origin = await RawOrigin.start((socket) => {
      socket.once('data', () => socket.write('HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno!'));
    });
    const stream = open(await hostOf(origin), { ':method': 'POST' });
    stream.write('some');
    const [fields] = await once(stream, 'response');
    assert.equal(fields[':status'], 413);
    assert.equal(await text(stream), 'no!');
    await eventually(() => origin.sockets.size === 0, 'the connection not to be reused');
  });
});
