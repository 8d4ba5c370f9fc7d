import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { encodeFrame } from '@sandport/protocol/connect';
import {
  FileNotFoundError,
  FileType,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  Sandbox,
  SandboxError,
  TimeoutError,
} from '../index.ts';
import { type Answer, endFrame, FakeServer, json, SANDBOX_ID, stream } from '../testing/fake-server.ts';

const READ = 'GET /files';
const WRITE = 'POST /files';
const written = (path: string): Answer => json(200, [{ name: path.split('/').at(-1), path, type: 'file' }]);
const message = (event: object): Uint8Array => encodeFrame(0, event);

let server: FakeServer;
let sandbox: Sandbox;
before(async () => {
  server = await FakeServer.start();
  sandbox = await Sandbox.create(server.options);
});
after(() => server[Symbol.asyncDispose]());

function streamOf(pieces: readonly unknown[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
}

test('read asks with path, user and token, and returns the content in the format asked for', async () => {
  server.on(READ, (response) => response.end('\uFEFFä\n'));
  assert.equal(await sandbox.files.read('/a b&c', { user: 'root' }), '\uFEFFä\n');
  const { route, headers } = server.seen.at(-1)!;
  assert.equal(route, 'GET /files?path=%2Fa+b%26c&username=root');
  assert.equal(headers['x-access-token'], 'agent-token');
  assert.equal(headers['accept-encoding'], 'identity');
  const bytes = await sandbox.files.read('/a', { format: 'bytes', gzip: true });
  assert.deepEqual([...bytes], [0xef, 0xbb, 0xbf, 0xc3, 0xa4, 0x0a]);
  assert.equal(server.seen.at(-1)!.headers['accept-encoding'], 'gzip');
  assert.equal((await sandbox.files.read('/a', { format: 'blob' })).size, 6);
  const pieces = await sandbox.files.read('/a', { format: 'stream' });
  assert.equal(await new Response(pieces).text(), 'ä\n');
  const format = 'json' as 'text';
  await assert.rejects(sandbox.files.read('/a', { format }), /format is "json"; expected one of text, bytes/);
});

test('an empty file is empty in every format', async () => {
  server.on(READ, (response) => response.writeHead(200, { 'content-length': 0 }).end());
  assert.equal(await sandbox.files.read('/a'), '');
  assert.equal((await sandbox.files.read('/a', { format: 'bytes' })).length, 0);
  assert.equal((await sandbox.files.read('/a', { format: 'blob' })).size, 0);
  assert.equal(await new Response(await sandbox.files.read('/a', { format: 'stream' })).text(), '');
});

test('failures have a class and keep what the agent said', async () => {
  server.on(READ, json(404, { code: 404, message: "path '/a' does not exist" }));
  await assert.rejects(sandbox.files.read('/a'), (error) => {
    assert(error instanceof FileNotFoundError && error instanceof NotFoundError);
    assert.deepEqual(
      [error.code, error.statusCode, error.message],
      ['file_not_found', 404, "path '/a' does not exist"],
    );
    return true;
  });
  server.on(READ, json(400, { code: 400, message: "path '/a' is a directory" }));
  await assert.rejects(sandbox.files.read('/a'), InvalidArgumentError);
  server.on(WRITE, json(507, { code: 507, message: 'not enough disk space available' }));
  await assert.rejects(sandbox.files.write('/a', 'x'), NotEnoughSpaceError);
  server.on(WRITE, json(502, { sandboxId: SANDBOX_ID, message: 'The sandbox was not found', code: 502 }));
  await assert.rejects(sandbox.files.write('/a', 'x'), TimeoutError);
  server.on(WRITE, json(200, []));
  await assert.rejects(sandbox.files.write('/a', 'x'), SandboxError);
});

test('a stream that pauses for longer than its limit fails; a reader that pauses does not', async () => {
  server.on(READ, (response) => void response.write('first'));
  const stuck = await sandbox.files.read('/a', { format: 'stream', streamIdleTimeoutMs: 500 });
  const reader = stuck.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value), 'first');
  await new Promise((resolve) => setTimeout(resolve, 700));
  await assert.rejects(reader.read(), TimeoutError);
});

test('a stream that is cancelled closes its connection', async () => {
  const closed = new Promise<void>((resolve) => {
    server.on(READ, (response) => response.once('close', resolve).write('first'));
  });
  const stuck = await sandbox.files.read('/a', { format: 'stream' });
  await stuck.cancel();
  await closed;
});

test('write sends every form of content as it is', async () => {
  server.on(WRITE, written('/home/user/a'));
  const forms = {
    text: 'hellö',
    buffer: new TextEncoder().encode('hellö').buffer,
    bytes: new TextEncoder().encode('hellö'),
    blob: new Blob(['hellö']),
    stream: new Blob(['hellö']).stream(),
    'stream of text': streamOf(['hel', 'lö']),
  };
  for (const [name, data] of Object.entries(forms)) {
    const info = await sandbox.files.write('a', data);
    assert.deepEqual(info, { name: 'a', path: '/home/user/a', type: FileType.FILE });
    const { route, headers, body } = server.seen.at(-1)!;
    assert.deepEqual([route, body.toString()], ['POST /files?path=a', 'hellö'], name);
    assert.equal(headers['content-type'], 'application/octet-stream');
  }
  await assert.rejects(sandbox.files.write('a', 5 as unknown as string), /data is number; expected text/);
  await assert.rejects(sandbox.files.write('a', streamOf([5])), /a piece of the stream is number/);
});

test('write compresses on request, and sends metadata that a header can carry', async () => {
  server.on(WRITE, written('/a'));
  await sandbox.files.write('/a', 'x'.repeat(1000), { gzip: true, metadata: { Author: 'me & you' } });
  const { headers, body } = server.seen.at(-1)!;
  assert.equal(headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(body).toString(), 'x'.repeat(1000));
  assert.equal(headers['x-metadata-author'], 'me & you');
  const sent = server.seen.length;
  await assert.rejects(sandbox.files.write('/a', 'x', { metadata: { 'a b': 'c' } }), InvalidArgumentError);
  await assert.rejects(sandbox.files.write('/a', 'x', { metadata: { a: 'c\r\nd: e' } }), InvalidArgumentError);
  await assert.rejects(sandbox.files.write('/a', 'x', { metadata: { a: ' c' } }), InvalidArgumentError);
  assert.equal(server.seen.length, sent);
});

test("the failure of the caller's own stream is handed on as it is", async () => {
  server.on(WRITE, written('/a'));
  const failure = new Error('the source is gone');
  const source = new ReadableStream({
    pull() {
      throw failure;
    },
  });
  await assert.rejects(sandbox.files.write('/a', source), (error) => error === failure);
});

test('several files are answered in their order, and none is written when a path is there twice', async () => {
  server.on(WRITE, (response, seen) => {
    const path = new URLSearchParams(seen.route.split('?')[1]).get('path')!;
    setTimeout(() => written(path)(response, seen), path === '/0' ? 30 : 0);
  });
  const files = Array.from({ length: 20 }, (_, index) => ({ path: `/${index}`, data: `${index}` }));
  const infos = await sandbox.files.write(files);
  assert.deepEqual(
    infos.map(({ path }) => path),
    files.map(({ path }) => path),
  );
  assert.deepEqual(await sandbox.files.writeFiles([]), []);
  const sent = server.seen.length;
  await assert.rejects(sandbox.files.writeFiles([files[0]!, files[0]!]), /the path "\/0" is there twice/);
  assert.equal(server.seen.length, sent);
});

test('entries have numbers, dates and types; what is absent on the wire is zero', async () => {
  const entry = {
    name: 'a',
    path: '/a',
    type: 'FILE_TYPE_FILE',
    size: '5000000000',
    mode: 0o644,
    permissions: '-rw-r--r--',
    owner: 'user',
    group: 'user',
    modifiedTime: '2026-01-02T03:04:05.678Z',
  };
  const { size, mode, type, ...empty } = entry;
  assert(size && mode && type);
  const entries = [entry, { ...empty, name: 'b' }, { ...entry, name: 'c', type: 'FILE_TYPE_DIRECTORY' }];
  server.on('POST /filesystem.Filesystem/ListDir', json(200, { entries }));
  const [a, b, c] = await sandbox.files.list('/', { depth: 3, user: 'root' });
  assert.deepEqual(a, { ...entry, type: 'file', size: 5e9, modifiedTime: new Date(entry.modifiedTime) });
  assert.deepEqual([b!.size, b!.mode, b!.type, c!.type], [0, 0, undefined, 'dir']);
  const { headers, body } = server.seen.at(-1)!;
  assert.deepEqual(JSON.parse(body.toString()), { path: '/', depth: 3 });
  assert.equal(headers.authorization, `Basic ${btoa('root:')}`);
  for (const depth of [0, -1, 1.5]) await assert.rejects(sandbox.files.list('/', { depth }), /depth is /);
  server.on('POST /filesystem.Filesystem/Stat', json(200, {}));
  await assert.rejects(sandbox.files.getInfo('/a'), /did not describe the file/);
});

test('what is missing or there already is an answer of exists and makeDir, and an error elsewhere', async () => {
  const missing = json(404, { code: 'not_found', message: "path '/a' does not exist" });
  server.on('POST /filesystem.Filesystem/Stat', missing);
  server.on('POST /filesystem.Filesystem/Move', missing);
  server.on('POST /filesystem.Filesystem/MakeDir', json(409, { code: 'already_exists', message: 'it is there' }));
  assert.equal(await sandbox.files.exists('/a'), false);
  assert.equal(await sandbox.files.makeDir('/a'), false);
  await assert.rejects(sandbox.files.getInfo('/a'), FileNotFoundError);
  await assert.rejects(sandbox.files.rename('/a', '/b'), FileNotFoundError);
  server.on('POST /filesystem.Filesystem/MakeDir', json(400, { code: 'invalid_argument', message: 'a file' }));
  await assert.rejects(sandbox.files.makeDir('/a'), InvalidArgumentError);
});

test('a watch hands over events in order, one at a time, and tells of its end', async () => {
  const events = ['EVENT_TYPE_CREATE', 'EVENT_TYPE_LATER', 'EVENT_TYPE_WRITE'].map((type) =>
    message({ filesystem: { name: 'a', type } }),
  );
  server.on('POST /filesystem.Filesystem/WatchDir', stream([message({ start: {} }), ...events, endFrame]));
  const seen: string[] = [];
  const ended = new Promise<Error | undefined>((resolve) => {
    const onEvent = async ({ name, type }: { name: string; type: string }): Promise<void> => {
      seen.push(`${name} ${type} begins`);
      await new Promise((next) => setTimeout(next, 20));
      seen.push(`${name} ${type} ends`);
    };
    void sandbox.files.watchDir('/d', onEvent, { onExit: resolve, recursive: true });
  });
  assert.equal(await ended, undefined);
  assert.deepEqual(seen, ['a create begins', 'a create ends', 'a write begins', 'a write ends']);
});

test('a watch that is stopped ends without an error; one that is cut, or whose listener fails, with it', async () => {
  const method = 'POST /filesystem.Filesystem/WatchDir';
  const began = message({ start: {} });
  const event = message({ filesystem: { name: 'a', type: 'EVENT_TYPE_CREATE' } });
  const watch = (answer: Answer, onEvent: () => void, stop: boolean): Promise<Error | undefined> =>
    new Promise((resolve, reject) => {
      server.on(method, answer);
      const watching = sandbox.files.watchDir('/d', onEvent, { onExit: resolve });
      watching.then((handle) => (stop ? handle.stop() : undefined), reject);
    });
  assert.equal(await watch(stream([began], 'open'), () => {}, true), undefined);
  assert(((await watch(stream([began], 'cut'), () => {}, false)) as Error) instanceof SandboxError);
  const failure = new Error('no');
  const fail = (): void => {
    throw failure;
  };
  assert.equal(await watch(stream([began, event], 'open'), fail, false), failure);
  server.on(method, stream([encodeFrame(2, { error: { code: 'not_found', message: 'no /d' } })]));
  await assert.rejects(
    sandbox.files.watchDir('/d', () => {}),
    FileNotFoundError,
  );
});

test('URLs of files are signed for path, operation, user and time', async () => {
  const hash = (text: string): string => `v1_${createHash('sha256').update(text).digest('base64').replace(/=+$/, '')}`;
  const up = new URL(await sandbox.uploadUrl('/a b', { user: 'root' }));
  assert.equal(up.host, `49983-${SANDBOX_ID}.box.test:8443`);
  assert.equal(up.pathname, '/files');
  assert.deepEqual(Object.fromEntries(up.searchParams), {
    path: '/a b',
    username: 'root',
    signature: hash('/a b:write:root:agent-token'),
  });
  const form = new URL(await sandbox.uploadUrl());
  assert.deepEqual(Object.fromEntries(form.searchParams), { signature: hash(':write::agent-token') });
  const before = Math.floor(Date.now() / 1000) + 60;
  const down = new URL(await sandbox.downloadUrl('a', { useSignatureExpiration: 60 }));
  const expiration = down.searchParams.get('signature_expiration')!;
  const after = Math.ceil(Date.now() / 1000) + 60;
  assert(Number(expiration) >= before && Number(expiration) <= after);
  assert.equal(down.searchParams.get('signature'), hash(`a:read::agent-token:${expiration}`));
  await assert.rejects(sandbox.downloadUrl('a', { useSignatureExpiration: 0 }), InvalidArgumentError);
});

test('without a token URLs are not signed and cannot expire', async () => {
  server.on(`POST /sandboxes/${SANDBOX_ID}/connect`, json(200, { sandboxID: SANDBOX_ID, domain: null }));
  const open = await Sandbox.connect(SANDBOX_ID, server.options);
  assert.equal(new URL(await open.downloadUrl('a')).search, '?path=a');
  await assert.rejects(open.uploadUrl('a', { useSignatureExpiration: 60 }), /secure: true/);
});
