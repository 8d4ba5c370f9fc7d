// The requests of the Python client `e2b`, letter for letter, over each version of HTTP that it speaks. The client cannot be
// installed where the tests run; what it sends, and reads of the answers, is restated from its public source: releases 2.x,
// whose RPC runs on connectrpc and pyqwest, and earlier ones, whose RPC is its own (e2b_connect, on httpcore).
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { FLAG_END_STREAM, FrameReader, writeFrameHeader } from '@sandport/protocol/connect';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

type Headers = Record<string, string>;

interface Sent {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body?: Uint8Array;
  /** Sends the body as a generator's pieces, whose length nobody knows before. */
  readonly streamed?: boolean;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One way to carry requests. The client negotiates HTTP/2, and falls back to HTTP/1.1. */
interface Transport extends Disposable {
  send(sent: Sent): Promise<Answer>;
}

const USER_AGENT = 'e2b-python-sdk/2.45.1';
/** What its HTTP library, httpx, sends by itself. */
const httpx: Headers = { accept: '*/*', 'accept-encoding': 'gzip, deflate, br, zstd', 'user-agent': USER_AGENT };
const apiHeaders = (apiKey: string): Headers => ({
  ...httpx,
  lang: 'python',
  lang_version: '3.12.4',
  machine: 'x86_64',
  os: 'Linux-6.8.0-x86_64-with-glibc2.36',
  processor: '',
  publisher: 'e2b',
  release: '6.8.0',
  sdk_runtime: 'python',
  system: 'Linux',
  'x-api-key': apiKey,
});

/** How each generation of the client's RPC dresses a call. */
interface Generation {
  readonly name: string;
  unary(message: object): { headers: Headers; body: Buffer };
  stream(message: object, timeoutSeconds?: number): { headers: Headers; body: Buffer; streamed: boolean };
}

const connectrpc: Generation = {
  name: 'connectrpc',
  unary: (message) => ({
    headers: {
      'user-agent': USER_AGENT,
      'connect-protocol-version': '1',
      'accept-encoding': 'identity',
      'content-type': 'application/json',
      'connect-timeout-ms': '60000',
    },
    body: Buffer.from(JSON.stringify(message)),
  }),
  stream: (message, timeoutSeconds) => ({
    headers: {
      'user-agent': USER_AGENT,
      'connect-protocol-version': '1',
      'connect-accept-encoding': 'identity',
      'content-type': 'application/connect+json',
      ...(timeoutSeconds && { 'connect-timeout-ms': String(timeoutSeconds * 1000) }),
    },
    body: envelope(Buffer.from(JSON.stringify(message))),
    streamed: true,
  }),
};

/** json_format.MessageToJson writes with an indentation, and a timeout that was a float stays one. */
const e2bConnect: Generation = {
  name: 'e2b_connect',
  unary: (message) => ({
    headers: {
      'user-agent': 'e2b-python-sdk/1.5.0',
      'connect-protocol-version': '1',
      'content-encoding': 'identity',
      'content-type': 'application/json',
    },
    body: Buffer.from(JSON.stringify(message, null, 2)),
  }),
  stream: (message, timeoutSeconds) => ({
    headers: {
      'user-agent': 'e2b-python-sdk/1.5.0',
      ...(timeoutSeconds && { 'connect-timeout-ms': `${timeoutSeconds * 1000}.0` }),
      'connect-protocol-version': '1',
      'connect-content-encoding': 'identity',
      'content-type': 'application/connect+json',
    },
    body: envelope(Buffer.from(JSON.stringify(message, null, 2))),
    streamed: false,
  }),
};

/** The messages of a stream; `error` is that of its last frame. */
interface Events {
  readonly events: Record<string, never>[];
  readonly error?: { readonly code: string; readonly message: string };
}

// What is sent and answered is the same under each runtime.
for (const runtime of runtimes.slice(-1)) {
  describe(`requests of the Python client under ${runtime}`, () => {
    let server: SandportServer;
    let api: string;
    let apiKey: string;
    let domain: string;

    before(async () => {
      server = await SandportServer.start(runtime);
      ({ apiKey, domain } = server.connection);
      api = new URL(server.connection.apiUrl).host;
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    const transports: Record<string, () => Promise<Transport>> = {
      'HTTP/2': () => overHttp2(`https://${api}`),
      'HTTP/1.1': async () => overHttp1,
    };

    for (const [version, open] of Object.entries(transports)) {
      test(`a sandbox's life over the API, ${version}`, async () => {
        using transport = await open();
        const call = async (method: string, path: string, body?: object) => {
          const json = body === undefined ? {} : { 'content-type': 'application/json' };
          const headers = { ...apiHeaders(apiKey), ...json };
          const bytes = body === undefined ? {} : { body: Buffer.from(JSON.stringify(body)) };
          return transport.send({ method, host: api, path, headers, ...bytes });
        };
        const created = await call('POST', '/sandboxes', {
          templateID: 'base',
          allow_internet_access: true,
          autoPause: false,
          autoResume: { enabled: false },
          envVars: { A: 'b' },
          metadata: { 'a key': 'ü & =', run: version },
          network: { allowPublicTraffic: true },
          secure: true,
          timeout: 300,
        });
        assert.equal(created.status, 201, created.body.toString());
        const sandbox = read(created);
        for (const name of ['clientID', 'envdVersion', 'sandboxID', 'templateID', 'envdAccessToken']) {
          assert.equal(typeof sandbox[name], 'string', name);
        }
        const id = sandbox.sandboxID as string;

        const detail = read(await call('GET', `/sandboxes/${id}`));
        for (const name of ['cpuCount', 'memoryMB', 'diskSizeMB']) assert.equal(typeof detail[name], 'number', name);
        for (const name of ['startedAt', 'endAt'])
          assert.match(String(detail[name]), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, name);
        assert.deepEqual([detail.state, detail.metadata], ['running', { 'a key': 'ü & =', run: version }]);

        // The pairs are quoted, joined, and quoted again as one value.
        const metadata = encodeURIComponent(`a%20key=%C3%BC%20%26%20%3D&run=${encodeURIComponent(version)}`);
        for (const query of [
          `metadata=${metadata}&state=running&state=paused&limit=10`,
          `metadata=${metadata}&state=running%2Cpaused`,
          `metadata=${metadata}&startedAfter=${encodeURIComponent('2020-01-01T00:00:00.123456+02:00')}&order=asc`,
          `metadata=${metadata}&template=base&limit=1`,
        ]) {
          const listed = await call('GET', `/v2/sandboxes?${query}`);
          assert.equal(listed.status, 200, listed.body.toString());
          assert.deepEqual(
            JSON.parse(listed.body.toString()).map((each: { sandboxID: string }) => each.sandboxID),
            [id],
            query,
          );
          assert.equal(listed.headers['x-next-token'], undefined);
        }

        assert.equal((await call('POST', `/sandboxes/${id}/timeout`, { timeout: 600 })).status, 204);
        const connected = await call('POST', `/sandboxes/${id}/connect`, { timeout: 300 });
        assert.deepEqual([connected.status, read(connected).sandboxID], [200, id]);
        const byTheNewest = await call('POST', `/v2/sandboxes/${id}/connect`, { timeout: 300 });
        assert.deepEqual([byTheNewest.status, read(byTheNewest).sandboxID], [200, id]);
        assert.equal((await call('PUT', `/sandboxes/${id}/network`, { denyOut: ['0.0.0.0/0'] })).status, 204);

        const health = { method: 'GET', host: `49983-${id}.${domain}`, path: '/health', headers: httpx };
        assert.equal((await transport.send(health)).status, 204);
        assert.equal((await call('DELETE', `/sandboxes/${id}`)).status, 204);
        assert.equal((await transport.send(health)).status, 502, 'which it reads as not running');
        const again = await call('DELETE', `/sandboxes/${id}`);
        assert.deepEqual([again.status, read(again).code], [404, 404]);
        const refused = await transport.send({
          method: 'GET',
          host: api,
          path: '/v2/sandboxes',
          headers: apiHeaders(`e2b_${'0'.repeat(40)}`),
        });
        assert.deepEqual([refused.status, read(refused).code], [401, 401]);
      });

      for (const generation of [connectrpc, e2bConnect]) {
        test(`commands, terminals and files with ${generation.name}, ${version}`, async () => {
          using transport = await open();
          const created = await transport.send({
            method: 'POST',
            host: api,
            path: '/sandboxes',
            headers: { ...apiHeaders(apiKey), 'content-type': 'application/json' },
            body: Buffer.from('{"templateID": "base", "metadata": {}, "timeout": 300, "envVars": {}, "secure": true}'),
          });
          const { sandboxID, envdAccessToken } = read(created) as Record<string, string>;
          const host = `49983-${sandboxID}.${domain}`;
          const sandboxHeaders = {
            'x-access-token': envdAccessToken!,
            'e2b-sandbox-id': sandboxID!,
            'e2b-sandbox-port': '49983',
          };
          const unary = (method: string, message: object, headers: Headers = {}): Promise<Answer> => {
            const call = generation.unary(message);
            return transport.send({
              method: 'POST',
              host,
              path: `/${method}`,
              ...call,
              headers: { ...call.headers, ...sandboxHeaders, ...headers },
            });
          };
          const stream = async (
            method: string,
            message: object,
            headers: Headers = {},
            timeout = 60,
          ): Promise<Events> => {
            const call = generation.stream(message, timeout);
            const answer = await transport.send({
              method: 'POST',
              host,
              path: `/${method}`,
              ...call,
              headers: { ...call.headers, ...sandboxHeaders, 'keepalive-ping-interval': '50', ...headers },
            });
            assert.deepEqual([answer.status, answer.headers['content-type']], [200, 'application/connect+json']);
            return readEvents(answer.body);
          };
          const bash = (command: string, more: object = {}) => ({
            process: { cmd: '/bin/bash', args: ['-l', '-c', command], ...more },
            stdin: false,
          });

          // commands.run
          const ran = await stream(
            'process.Process/Start',
            bash('echo "$A $PWD"; exit 4', { envs: { A: 'b' }, cwd: '/tmp' }),
          );
          assert.equal(ran.error, undefined);
          assert.deepEqual(kinds(ran), ['start', 'data', 'end']);
          assert.equal(output(ran, 'stdout'), 'b /tmp\n');
          assert.deepEqual(ran.events.at(-1), {
            event: { end: { exitCode: 4, exited: true, status: 'exit status 4', error: 'exit status 4' } },
          });
          // As another user, and past its timeout.
          const basic = { authorization: `Basic ${Buffer.from('root:').toString('base64')}` };
          assert.equal(output(await stream('process.Process/Start', bash('id -un'), basic), 'stdout'), 'root\n');
          assert.equal(
            (await stream('process.Process/Start', bash('sleep 60'), {}, 1)).error?.code,
            'deadline_exceeded',
          );
          const nobody = { authorization: `Basic ${Buffer.from('no one:').toString('base64')}` };
          const unknown = await stream('process.Process/Start', bash('true'), nobody);
          assert.deepEqual(unknown.error, { code: 'unauthenticated', message: "invalid username: 'no one'" });

          // A terminal: created, written to, resized, ended.
          const pty = stream('process.Process/Start', {
            process: { cmd: '/bin/bash', args: ['-i', '-l'], envs: { TERM: 'xterm-256color' } },
            pty: { size: { cols: 80, rows: 24 } },
          });
          const pid = await waitFor('the terminal is listed', async () => {
            const { processes } = read(await unary('process.Process/List', {})) as {
              processes?: { pid: number; config: { args?: string[] } }[];
            };
            // The command that its timeout has just killed may still be listed.
            return processes?.find(({ config }) => config.args?.includes('-i'))?.pid;
          });
          const selector = { process: { pid } };
          const resized = await unary('process.Process/Update', {
            ...selector,
            pty: { size: { cols: 100, rows: 30 } },
          });
          assert.equal(resized.status, 200, resized.body.toString());
          const input = { pty: Buffer.from('stty size; exit\r').toString('base64') };
          assert.deepEqual(read(await unary('process.Process/SendInput', { ...selector, input })), {});
          assert.match(output(await pty, 'pty'), /30 100/);
          const gone = await unary('process.Process/SendSignal', { ...selector, signal: 'SIGNAL_SIGKILL' });
          assert.deepEqual([gone.status, read(gone).code], [404, 'not_found']);

          // Files over plain HTTP, in each form that it uploads in.
          const plain = { ...httpx, ...sandboxHeaders };
          const files = (method: string, path: string, headers: Headers, body?: Uint8Array, streamed = false) =>
            transport.send({ method, host, path: `/files${path}`, headers, ...(body && { body }), streamed });
          const boundary = '5f3a1c0b9d8e7f6a5b4c3d2e1f0a9b8c';
          const multipart = { ...plain, 'content-type': `multipart/form-data; boundary=${boundary}` };
          const written = await files(
            'POST',
            '?path=notes%2Fa.txt',
            multipart,
            form(boundary, [['notes/a.txt', 'text/plain', 'hellö']]),
          );
          assert.deepEqual(JSON.parse(written.body.toString()), [
            { name: 'a.txt', path: '/home/user/notes/a.txt', type: 'file' },
          ]);
          const several = form(boundary, [
            ['/tmp/üñí %22q%22.bin', 'application/octet-stream', 'one'],
            ['notes/b', 'application/octet-stream', ''],
          ]);
          const both = await files('POST', '?username=root', multipart, several, true);
          assert.equal(both.status, 200, both.body.toString());
          assert.equal(JSON.parse(both.body.toString()).length, 2);
          const octets = { ...plain, 'content-type': 'application/octet-stream', 'content-encoding': 'gzip' };
          const packed = await files('POST', '?path=packed.txt', octets, gzipSync('packed '.repeat(1000)));
          assert.equal(packed.status, 200, packed.body.toString());

          const text = await files('GET', '?path=notes%2Fa.txt', { ...plain, 'accept-encoding': 'identity' });
          assert.deepEqual([text.status, text.body.toString()], [200, 'hellö']);
          const zipped = await files('GET', '?path=packed.txt', { ...plain, 'accept-encoding': 'gzip' });
          assert.equal(zipped.headers['content-encoding'], 'gzip');
          assert.equal(gunzipSync(zipped.body).toString(), 'packed '.repeat(1000));
          const missing = await files('GET', '?path=none&username=user', plain);
          assert.deepEqual(
            [missing.status, read(missing)],
            [404, { code: 404, message: "path '/home/user/none' does not exist" }],
          );

          // Directories by RPC.
          assert.equal((await unary('filesystem.Filesystem/MakeDir', { path: 'made' })).status, 200);
          const exists = await unary('filesystem.Filesystem/MakeDir', { path: 'made' });
          assert.deepEqual([exists.status, read(exists).code], [409, 'already_exists']);
          const moved = read(
            await unary('filesystem.Filesystem/Move', { source: 'packed.txt', destination: 'made/p' }),
          );
          const { entry } = moved as { entry: Record<string, unknown> };
          assert.deepEqual([entry.path, entry.size, entry.type], ['/home/user/made/p', '7000', 'FILE_TYPE_FILE']);
          assert.match(String(entry.modifiedTime), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/);
          const { entries } = read(await unary('filesystem.Filesystem/ListDir', { path: 'made', depth: 1 })) as {
            entries: { name: string }[];
          };
          assert.deepEqual(
            entries.map(({ name }) => name),
            ['p'],
          );
          // Watched by asking, as its synchronous variant does.
          const watch = await unary(
            'filesystem.Filesystem/CreateWatcher',
            { path: 'made' },
            { 'keepalive-ping-interval': '50' },
          );
          const { watcherId } = read(watch) as { watcherId: string };
          assert.equal((await unary('filesystem.Filesystem/Remove', { path: 'made/p' })).status, 200);
          const [event] = await waitFor('the watcher has an event', async () => {
            const answer = read(await unary('filesystem.Filesystem/GetWatcherEvents', { watcherId }));
            return answer.events as { name: string; type: string }[] | undefined;
          });
          assert.deepEqual(event, { name: 'p', type: 'EVENT_TYPE_REMOVE' });
          assert.deepEqual(read(await unary('filesystem.Filesystem/RemoveWatcher', { watcherId })), {});
          assert.deepEqual(read(await unary('filesystem.Filesystem/Remove', { path: 'made' })), {});
          const stat = await unary('filesystem.Filesystem/Stat', { path: 'made' }, basic);
          assert.deepEqual([stat.status, read(stat).code], [404, 'not_found']);
        });
      }
    }

    test('a stream that is abandoned is reset alone, and a killed sandbox resets its streams', async () => {
      using transport = await overHttp2(`https://${api}`);
      const headers = { ...apiHeaders(apiKey), 'content-type': 'application/json' };
      const body = Buffer.from('{"templateID": "base", "timeout": 300, "secure": true}');
      const created = await transport.send({ method: 'POST', host: api, path: '/sandboxes', headers, body });
      const { sandboxID, envdAccessToken } = read(created) as Record<string, string>;
      const host = `49983-${sandboxID}.${domain}`;
      const start = async (command: string): Promise<ClientHttp2Stream> => {
        const call = connectrpc.stream({ process: { cmd: '/bin/bash', args: ['-l', '-c', command] }, stdin: false });
        const fields = { ...call.headers, 'x-access-token': envdAccessToken!, ':method': 'POST', ':authority': host };
        const stream = transport.session.request({ ...fields, ':path': '/process.Process/Start' });
        stream.on('error', () => {});
        stream.end(call.body);
        await once(stream, 'data');
        return stream;
      };
      const list = connectrpc.unary({});
      const running = async (): Promise<number> => {
        const listed = await transport.send({
          method: 'POST',
          host,
          path: '/process.Process/List',
          headers: { ...list.headers, 'x-access-token': envdAccessToken! },
          body: list.body,
        });
        return (read(listed).processes as unknown[] | undefined)?.length ?? 0;
      };

      const abandoned = await start('sleep 300');
      abandoned.close(constants.NGHTTP2_CANCEL);
      assert.equal(await running(), 1, 'the command goes on, and so does the connection');
      const killed = await start('sleep 301');
      const closed = new Promise((resolve) => killed.once('close', resolve));
      const path = `/sandboxes/${sandboxID}`;
      const gone = await transport.send({ method: 'DELETE', host: api, path, headers: apiHeaders(apiKey) });
      assert.equal(gone.status, 204);
      await closed;
      assert.notEqual(killed.rstCode, constants.NGHTTP2_NO_ERROR, 'not an end, but a failure');
      const health = await transport.send({ method: 'GET', host, path: '/health', headers: httpx });
      assert.equal(health.status, 502);
    });
  });
}

async function overHttp2(origin: string): Promise<Transport & { session: ClientHttp2Session }> {
  const session = connect(origin);
  await once(session, 'connect');
  return {
    session,
    async send({ method, host, path, headers, body }) {
      const fields = { ':method': method, ':authority': host, ':path': path, ...headers };
      const stream = session.request(fields, { endStream: body === undefined });
      if (body !== undefined) stream.end(body);
      const [answer] = await once(stream, 'response');
      return { status: answer[':status'], headers: answer, body: await bytesOf(stream) };
    },
    [Symbol.dispose]: () => session.destroy(),
  };
}

const overHttp1: Transport = {
  async send({ method, host, path, headers, body, streamed }) {
    const length = body === undefined || streamed ? {} : { 'content-length': String(body.length) };
    const sent = request(`https://${host}`, { method, path, headers: { ...headers, ...length }, agent: false });
    // In two pieces, cut inside the envelope's header.
    if (body !== undefined && streamed) sent.write(body.subarray(0, 3));
    sent.end(streamed ? body?.subarray(3) : body);
    const [answer] = await once(sent, 'response');
    return { status: answer.statusCode, headers: answer.headers, body: await bytesOf(answer) };
  },
  [Symbol.dispose]: () => {},
};

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function read({ body }: Answer): Record<string, unknown> {
  return JSON.parse(body.toString()) as Record<string, unknown>;
}

function envelope(payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + payload.length);
  writeFrameHeader(bytes, 0, payload.length);
  bytes.set(payload, 5);
  return bytes;
}

function readEvents(body: Buffer): Events {
  const frames = new FrameReader(body.length).push(body);
  const last = frames.pop();
  assert.equal(last?.flags, FLAG_END_STREAM, 'the stream has an end');
  const { error } = JSON.parse(Buffer.from(last.payload).toString()) as Events;
  const events = frames.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()));
  return { events, ...(error && { error }) };
}

/** Which kinds of events came, one after the other. */
function kinds({ events }: Events): string[] {
  const all = events.map(({ event }) => Object.keys(event as unknown as object)[0]!);
  return all.filter((kind, index) => kind !== all[index - 1]);
}

function output({ events }: Events, kind: 'stdout' | 'stderr' | 'pty'): string {
  const pieces = (events as { event?: { data?: Record<string, string> } }[]).map(
    ({ event }) => event?.data?.[kind] ?? '',
  );
  return Buffer.concat(pieces.map((piece) => Buffer.from(piece, 'base64'))).toString();
}

/** As httpx writes it: names as UTF-8, quotes percent-encoded. */
function form(boundary: string, parts: [filename: string, type: string, content: string][]): Buffer {
  const texts = parts.map(
    ([filename, type, content]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${filename}"\r\nContent-Type: ${type}\r\n\r\n${content}\r\n`,
  );
  return Buffer.from(`${texts.join('')}--${boundary}--\r\n`);
}
