// The published classes of request smuggling, each as a client would try it. What is refused must not have reached the
// server; what is forwarded must be one request for it. The server here is a lenient one: it takes every line for itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { after, before, beforeEach, describe, it } from 'node:test';
import { DOMAIN, FakeControl } from './testing/fake-control.ts';
import { FrameType, frame, headersFrame, PREFACE } from './testing/http2-frames.ts';
import { RawOrigin } from './testing/origin.ts';
import { RawClient } from './testing/raw-client.ts';
import { waitUntil } from './testing/wait-until.ts';

let control: FakeControl;
let origin: RawOrigin;
let session: ClientHttp2Session;
let host: string;
/** All that the server has been sent. */
let seen = '';

before(async () => {
  origin = await RawOrigin.start((socket) => {
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (/\r\n\r\n/.test(chunk.toString('latin1'))) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });
  const route = { sandboxId: 'abc', generation: 'g1', address: origin.address, access: { kind: 'public' } } as const;
  control = await FakeControl.start([route]);
  host = `${origin.port}-abc.${DOMAIN}`;
  session = connect(`http://127.0.0.1:${control.port}`);
  session.on('error', () => {});
  await once(session, 'connect');
});

after(async () => {
  session.destroy();
  await control[Symbol.asyncDispose]();
  await origin[Symbol.asyncDispose]();
});

beforeEach(() => {
  seen = '';
});

const HIDDEN = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';
const INNER = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`;

/** Header lines and a body that proxies and servers have been known to frame differently. */
const refused: Record<string, [lines: string, body: string]> = {
  'CL.TE': ['Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`],
  'TE.CL': ['Transfer-Encoding: chunked\r\nContent-Length: 4', INNER],
  'CL.CL, different': ['Content-Length: 0\r\nContent-Length: 40', HIDDEN],
  'CL.CL, equal': [`Content-Length: ${HIDDEN.length}\r\nContent-Length: ${HIDDEN.length}`, HIDDEN],
  'CL with a list': ['Content-Length: 0, 40', HIDDEN],
  'CL with a sign': ['Content-Length: +0', HIDDEN],
  'CL with a space inside': ['Content-Length: 4 0', HIDDEN],
  'CL in another base': ['Content-Length: 0x28', HIDDEN],
  'CL with a space before the colon': ['Content-Length : 40', HIDDEN],
  'TE.TE, second coding unknown': ['Transfer-Encoding: chunked\r\nTransfer-Encoding: cow', INNER],
  'TE.TE, list': ['Transfer-Encoding: chunked, identity', INNER],
  'TE.TE, identity first': ['Transfer-Encoding: identity, chunked', INNER],
  'TE.TE, twice in a list': ['Transfer-Encoding: chunked, chunked', INNER],
  'TE with a space before the colon': ['Transfer-Encoding : chunked', INNER],
  'TE with a tab before the colon': ['Transfer-Encoding\t: chunked', INNER],
  'TE folded': ['Transfer-Encoding:\r\n chunked', INNER],
  'TE behind a fold': ['X: a\r\n Transfer-Encoding: chunked', INNER],
  'TE with a vertical tab': ['Transfer-Encoding: \x0bchunked', INNER],
  'TE with a NUL': ['Transfer-Encoding: chunked\0', INNER],
  'TE in quotes': ['Transfer-Encoding: "chunked"', INNER],
  'TE with a prefix': ['Transfer-Encoding: xchunked', INNER],
  'TE with a parameter': ['Transfer-Encoding: chunked;a=b', INNER],
  'TE behind a bare LF': ['X: a\nTransfer-Encoding: chunked', INNER],
  'TE behind a bare CR': ['X: a\rTransfer-Encoding: chunked', INNER],
  'a name with a NUL': ['Transfer-Encoding\0: chunked', INNER],
  'a second Host': ['Host: other', ''],
  'a Host behind a space': [' Host: other', ''],
};

/** Chunked bodies that readers have been known to end at different places. */
const brokenChunks: Record<string, string> = {
  'a size with 0x': `0x0\r\n\r\n${HIDDEN}`,
  'a size with an underscore': `1_0\r\n${HIDDEN}`,
  'a size with a sign': `+0\r\n\r\n${HIDDEN}`,
  'a size with a space before': ` 0\r\n\r\n${HIDDEN}`,
  'a size that overflows': `10000000000000000\r\n${HIDDEN}`,
  'a size line that ends in LF': `0\n\n${HIDDEN}`,
  'a size line that ends in CR': `0\r\r\n${HIDDEN}`,
  'an extension with a bare LF': `0;a\n\r\n\r\n${HIDDEN}`,
  'an extension with a bare CR': `0;a\rb\r\n\r\n${HIDDEN}`,
  'data without its CR LF': `1\r\na0\r\n\r\n${HIDDEN}`,
  'data with two bytes between that are no CR LF': `1\r\naXX0\r\n\r\n${HIDDEN}`,
  'a trailer with a length': `0\r\nContent-Length: 40\r\n\r\n${HIDDEN}`,
  'a trailer that folds': `0\r\nA: b\r\n c\r\n\r\n${HIDDEN}`,
};

describe('smuggling over HTTP/1.1', () => {
  for (const [name, [lines, body]] of Object.entries(refused)) {
    it(`${name} is refused whole`, async () => {
      using client = new RawClient(control.port);
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n\r\n${body}`);
      await client.expect(/^HTTP\/1\.1 (400|501) /);
      await client.untilEnded();
      assert.doesNotMatch(client.received, /HTTP\/1\.1 [0-9]/);
      assert.equal(seen, '');
    });
  }

  for (const [name, body] of Object.entries(brokenChunks)) {
    it(`a chunked body with ${name} is cut off before the hidden request`, async () => {
      using client = new RawClient(control.port);
      client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);
      await client.untilEnded();
      assert.match(client.received, /^HTTP\/1\.1 400 /);
      assert.doesNotMatch(seen, /smuggled/);
    });
  }

  it('chunk extensions pass, and hide nothing', async () => {
    using client = new RawClient(control.port);
    const body = `1;a="\r\n`;
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${body}x\r\n0;b=c\r\n\r\n`);
    await client.expect(/ok$/);
    assert.equal(seen.slice(seen.indexOf('\r\n\r\n') + 4), `${body}x\r\n0;b=c\r\n\r\n`);
  });

  it('a body of a GET stays with it', async () => {
    using client = new RawClient(control.port);
    client.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`);
    await client.expect(/ok$/);
    assert.match(seen, new RegExp(`Content-Length: ${HIDDEN.length}\r\n`));
    assert.equal(seen.endsWith(HIDDEN), true);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(client.received, '', 'one answer for one request');
  });

  it('what follows a request is routed by its own Host, whatever it claims', async () => {
    using client = new RawClient(control.port);
    client.send(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1\r\n\r\nx${HIDDEN}`);
    await client.expect(/ok/);
    await client.expect(/HTTP\/1\.1 400 /);
    assert.doesNotMatch(seen, /smuggled/);
  });

  it('a Connection header takes away neither length nor host', async () => {
    using client = new RawClient(control.port);
    const body = HIDDEN;
    client.send(
      `POST / HTTP/1.1\r\nHost: ${host}\r\nConnection: Content-Length, Host, Transfer-Encoding\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await client.expect(/ok$/);
    assert.match(seen, new RegExp(`\r\nContent-Length: ${body.length}\r\n`));
    assert.match(seen, new RegExp(`\r\nHost: ${host}\r\n`));
  });
});

describe('smuggling from HTTP/2', () => {
  /** Sends what `node:http2` would not: fields as they are given. */
  async function attempt(fields: Record<string, string | string[]>, body = HIDDEN): Promise<number> {
    const stream = session.request({ ':authority': host, ':method': 'POST', ':path': '/', ...fields });
    stream.on('error', () => {});
    let status = 0;
    stream.on('response', (headers) => {
      status = headers[':status'] ?? 0;
    });
    stream.resume();
    stream.end(body);
    await new Promise((resolve) => stream.once('close', resolve));
    return stream.rstCode === constants.NGHTTP2_NO_ERROR ? status : status || stream.rstCode;
  }

  it('H2.CL: a length that is not that of the data never ends the request at the server', async () => {
    await attempt({ 'content-length': '0' });
    await attempt({ 'content-length': '4' });
    assert.doesNotMatch(seen, /smuggled/);
    await attempt({ 'content-length': String(HIDDEN.length + 10) });
    // The request has begun, and its connection ends with it before anything else is sent on it.
    await waitUntil(() => origin.sockets.size === 0, 'the end of the connection');
  });

  it('H2.TE: the transfer coding of a client is never passed on', async () => {
    const frames = rawRequest([
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/'],
      [':authority', host],
      ['transfer-encoding', 'chunked'],
    ]);
    await sendRaw(frames);
    assert.doesNotMatch(seen, /chunked|smuggled/i);
  });

  const injections: Record<string, [string, string][]> = {
    'a line break in the path': [[':path', '/ HTTP/1.1\r\nHost: x\r\n\r\nGET /smuggled']],
    'a space in the path': [[':path', '/ HTTP/1.1']],
    'a line break in the method': [[':method', 'GET / HTTP/1.1\r\nX: y']],
    'a space in the method': [[':method', 'GET /smuggled']],
    'a line break in the authority': [[':authority', 'HOST\r\nX-Injected: 1']],
    'a line break in a value': [['x-a', 'b\r\nTransfer-Encoding: chunked']],
    'a bare LF in a value': [['x-a', 'b\nTransfer-Encoding: chunked']],
    'a NUL in a value': [['x-a', 'b\0c']],
    'a line break in a name': [['x-a: b\r\ntransfer-encoding', 'chunked']],
    'a colon in a name': [['transfer-encoding: chunked\r\nx', 'y']],
    'a space in a name': [['content-length ', '0']],
    'a name in upper case': [['Content-Length', '0']],
    'two lengths': [
      ['content-length', '0'],
      ['content-length', '40'],
    ],
    'two authorities': [[':authority', 'other']],
    'a host that differs': [['host', 'other']],
    'a pseudo-header after the others': [
      ['x-a', 'b'],
      [':path', '/smuggled'],
    ],
    'a connection header': [['connection', 'upgrade']],
    'an upgrade': [['upgrade', 'h2c']],
  };
  for (const [name, more] of Object.entries(injections)) {
    it(`${name} never reaches the server`, async () => {
      const clean = `POST / HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\n\r\n${INNER}`;
      const fields: [string, string][] = [
        [':method', 'POST'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', host],
      ];
      for (const [key, value] of more) {
        const known = fields.find((field) => field[0] === key);
        const given = value.replace('HOST', host);
        // A pseudo-header takes the place of the proper one; a second one is tried where that is the point.
        if (known !== undefined && !name.startsWith('two') && !name.startsWith('a pseudo')) known[1] = given;
        else fields.push([key, given]);
      }
      await sendRaw(rawRequest(fields));
      if (seen === '') return;
      // A field that is none is left out by the HTTP/2 library; the request is then one, framed by the gateway alone.
      assert.equal(seen.replace(/(?:X-)?Forwarded(?:-[A-Za-z]+)?: .*\r\n/g, ''), clean);
    });
  }

  const rawRequest = (fields: readonly [string, string][]): Buffer =>
    Buffer.concat([headersFrame(1, fields), frame(FrameType.data, 0x1, 1, Buffer.from(HIDDEN))]);

  /** Sends frames on a connection of their own, and waits until the gateway has answered in some way. */
  async function sendRaw(frames: Buffer): Promise<void> {
    using client = new RawClient(control.port);
    client.socket.write(Buffer.concat([PREFACE, frames]));
    // HEADERS or RST_STREAM on the stream, GOAWAY, or the end of the connection.
    const answered = /[\x01\x03].\x00\x00\x00\x01|\x07\x00\x00\x00\x00\x00/s;
    await waitUntil(() => answered.test(client.received.slice(9)) || client.ended !== undefined, 'an answer');
  }
});
