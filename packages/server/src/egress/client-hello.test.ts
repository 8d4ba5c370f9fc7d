import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { before, test } from 'node:test';
import { connect } from 'node:tls';
import fc from 'fast-check';
import { readClientHello } from './client-hello.ts';
import { inspect } from './first-bytes.ts';

/** What Node's own client sends. */
async function helloOf(servername: string | undefined): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const client = connect({ port, host: '127.0.0.1', ...(servername && { servername }) });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** The same message in records of `size` bytes (RFC 8446, section 5.1). */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let pos = 0; pos < message.length; pos += size) {
    const part = message.subarray(pos, pos + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

let hello: Buffer;
before(async () => {
  hello = await helloOf('Example.test');
});

test('the name is read, in however many records it comes', async () => {
  const expected = { kind: 'hello', serverName: 'Example.test' };
  assert.deepEqual(readClientHello(hello), expected);
  assert.deepEqual(readClientHello(Buffer.concat([hello, Buffer.from('more')])), expected);
  for (const size of [1, 3, 50, 100_000])
    assert.deepEqual(readClientHello(inRecords(hello, size)), expected, `${size}`);
  assert.deepEqual(readClientHello(await helloOf(undefined)), { kind: 'hello' });
  assert.deepEqual(inspect(hello), { protocol: 'tls', name: 'example.test' });
});

test('a hello that has not come whole is incomplete, byte by byte', () => {
  for (let length = 1; length < hello.length; length++) {
    assert.equal(readClientHello(hello.subarray(0, length)).kind, 'incomplete', `${length}`);
  }
});

test('bytes that were changed anywhere are read or refused, never longer than they are', () => {
  fc.assert(
    fc.property(fc.nat(hello.length - 1), fc.uint8Array({ maxLength: 8 }), fc.nat(8), (at, noise, removed) => {
      const spoiled = Buffer.concat([hello.subarray(0, at), noise, hello.subarray(at + removed)]);
      const result = readClientHello(spoiled);
      if (result.kind === 'hello' && result.serverName !== undefined) assert(result.serverName.length < spoiled.length);
      inspect(spoiled);
    }),
    { numRuns: 20_000 },
  );
});

test('lengths that promise more than a hello has are refused and not waited for', () => {
  const huge = Buffer.from(hello);
  huge.writeUIntBE(0xffffff, 6, 3);
  assert.equal(readClientHello(huge).kind, 'malformed');
  const record = Buffer.from([22, 3, 1, 0xff, 0xff, 1, 0, 0, 0]);
  assert.equal(readClientHello(record).kind, 'malformed');
  assert.equal(readClientHello(Buffer.from([22, 3, 1, 0, 0])).kind, 'malformed');
  const endless = Buffer.concat(Array.from({ length: 4000 }, () => Buffer.from([22, 3, 1, 0, 1, 1])));
  assert.notEqual(readClientHello(endless).kind, 'hello');
});

test('a second server name is refused: two readers could take two hosts', () => {
  const name = Buffer.from('Example.test');
  const at = hello.indexOf(name) - 9;
  const extension = hello.subarray(at, at + 9 + name.length);
  const doubled = Buffer.concat([hello.subarray(0, at), extension, hello.subarray(at)]);
  // The lengths of record, message and extensions follow.
  doubled.writeUInt16BE(doubled.readUInt16BE(3) + extension.length, 3);
  doubled.writeUIntBE(doubled.readUIntBE(6, 3) + extension.length, 6, 3);
  let pos = 5 + 4 + 34;
  pos += 1 + doubled[pos]!;
  pos += 2 + doubled.readUInt16BE(pos);
  pos += 1 + doubled[pos]!;
  doubled.writeUInt16BE(doubled.readUInt16BE(pos) + extension.length, pos);
  assert.equal(readClientHello(doubled).kind, 'malformed');
});

test('a request head names its host; what is neither TLS nor HTTP names none', () => {
  const http = (text: string) => inspect(Buffer.from(text));
  assert.deepEqual(http('GET / HTTP/1.1\r\nHost: Example.test:8080\r\n\r\n'), {
    protocol: 'http',
    name: 'example.test',
  });
  assert.deepEqual(http('GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n'), { protocol: 'http' });
  assert.equal(http('GET / HTTP/1.1\r\nHost: example.test\r\n'), undefined);
  for (const text of [
    'GET / HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n',
    'GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
    'CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n',
    'SSH-2.0-x\r\n',
    '\0\0\0',
  ]) {
    assert.equal(http(text)?.protocol, 'other', JSON.stringify(text));
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(40), (noise, at) => {
      const head = Buffer.from('GET /path HTTP/1.1\r\nHost: example.test\r\n\r\n');
      inspect(Buffer.from(noise));
      inspect(Buffer.concat([head.subarray(0, at), noise, head.subarray(at)]));
    }),
    { numRuns: 10_000 },
  );
});
