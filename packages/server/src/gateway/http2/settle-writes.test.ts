// Streams of HTTP/2 have an error at hand before `node:stream` makes one, and nobody sees it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, constants, performServerHandshake, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { it } from 'node:test';
import { settleWrites } from './settle-writes.ts';

for (const isCancelled of [false, true]) {
  it(`a stream that ${isCancelled ? 'its client cancels' : 'is over'} closes in order, with an error that was there before`, async () => {
    const seen: string[] = [];
    const served = Promise.withResolvers<ServerHttp2Stream>();
    const server = createServer((socket) => {
      const session = performServerHandshake(socket);
      session.on('stream', (stream: ServerHttp2Stream) => {
        settleWrites(stream);
        for (const event of ['error', 'aborted', 'close']) stream.on(event, () => seen.push(event));
        stream.resume();
        stream.respond({ ':status': 200 });
        stream.write('hello');
        if (!isCancelled) stream.end();
        served.resolve(stream);
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      const request = session.request({ ':path': '/' });
      let body = '';
      request.on('data', (chunk: Buffer) => {
        body += chunk.toString();
        if (isCancelled) request.close(constants.NGHTTP2_CANCEL);
      });
      await once(request, 'close');
      assert.equal(body, 'hello');
      const stream = await served.promise;
      if (!stream.closed || !seen.includes('close')) await once(stream, 'close');
      assert.deepEqual(seen, isCancelled ? ['aborted', 'close'] : ['close']);
      const { _writableState: state } = stream as unknown as { _writableState: { errored: unknown } };
      assert.match(String(state.errored), /the stream is closed/);
    } finally {
      session.destroy();
      server.close();
    }
  });
}
