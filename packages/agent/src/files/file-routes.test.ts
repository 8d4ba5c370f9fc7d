import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { Libc } from '../native/libc.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

const TOKEN = 'access-token-of-the-test';
const OCTETS = { 'content-type': 'application/octet-stream' };
let agent: TestAgent;
let secured: TestAgent;
before(async () => {
  agent = await startAgent({ defaultUser: 'user' });
  secured = await startAgent({ accessToken: TOKEN });
});
after(async () => {
  await agent[Symbol.asyncDispose]();
  await secured[Symbol.asyncDispose]();
});

function url(query: Record<string, string>, of = agent): string {
  return `${of.url}/files?${new URLSearchParams(query)}`;
}

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url({ path }), { headers: { 'accept-encoding': 'identity', ...headers } });
}

function put(path: string, body: BodyInit, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url({ path }), { method: 'POST', headers: { ...OCTETS, ...headers }, body });
}

async function message(answer: Response): Promise<string> {
  const body = await answer.json();
  assert.equal(body.code, answer.status);
  return body.message;
}

test('what is written can be read, and belongs to the user with its directories', async () => {
  const answer = await put('a/b/new file.txt', 'hellö');
  const path = join(agent.home, 'a/b/new file.txt');
  assert.deepEqual([answer.status, await answer.json()], [200, [{ name: 'new file.txt', path, type: 'file' }]]);
  for (const made of ['a', 'a/b', 'a/b/new file.txt']) {
    const { uid, gid, mode } = statSync(join(agent.home, made));
    assert.deepEqual([uid, gid, (mode & 0o777).toString(8)], [1000, 1000, made.endsWith('.txt') ? '644' : '755'], made);
  }
  const read = await get('a/b/new file.txt');
  assert.equal(await read.text(), 'hellö');
  assert.equal(read.headers.get('content-type'), 'text/plain; charset=utf-8');
  assert.equal(read.headers.get('content-disposition'), "inline; filename*=utf-8''new%20file.txt");
  assert.equal(read.headers.get('vary'), 'Accept-Encoding');
  assert.equal(read.headers.get('content-length'), '6');
});

test('a file that exists is cut and keeps its mode', async () => {
  const path = join(agent.home, 'script.sh');
  writeFileSync(path, 'a much longer content than the next');
  chmodSync(path, 0o750);
  assert.equal((await put('script.sh', 'short')).status, 200);
  assert.equal(readFileSync(path, 'utf8'), 'short');
  assert.equal(statSync(path).mode & 0o777, 0o750);
});

test('large content passes both ways without being kept', async () => {
  const content = Buffer.alloc(160_000_000, 'sandbox ');
  const before = agent.privateMemory();
  assert.equal((await put('large', content)).status, 200);
  const read = Buffer.from(await (await get('large')).arrayBuffer());
  assert.ok(read.equals(content));
  assert.ok(agent.privateMemory() - before < 120_000_000, `${agent.privateMemory() - before}`);
});

test('gzip is sent to those that ask, and taken', async () => {
  assert.equal((await put('zipped', gzipSync('packed'), { 'content-encoding': 'gzip' })).status, 200);
  assert.equal(readFileSync(join(agent.home, 'zipped'), 'utf8'), 'packed');
  const answer = await get('zipped', { 'accept-encoding': 'br, gzip;q=0.5' });
  assert.equal(answer.headers.get('content-encoding'), 'gzip');
  assert.equal(await answer.text(), 'packed');
  assert.equal((await get('zipped', { 'accept-encoding': 'br, identity;q=0' })).status, 406);
  assert.equal((await put('x', 'not gzip', { 'content-encoding': 'gzip' })).status, 400);
  assert.equal((await put('x', 'x', { 'content-encoding': 'br' })).status, 400);
});

test('a range, a modification date and HEAD are answered as HTTP has them', async () => {
  await put('ranged', '0123456789');
  const part = await get('ranged', { range: 'bytes=2-4', 'accept-encoding': 'gzip' });
  assert.deepEqual([part.status, await part.text(), part.headers.get('content-range')], [206, '234', 'bytes 2-4/10']);
  assert.equal(await (await get('ranged', { range: 'bytes=-3' })).text(), '789');
  assert.equal(await (await get('ranged', { range: 'bytes=8-' })).text(), '89');
  assert.equal((await get('ranged', { range: 'bytes=10-' })).status, 416);
  assert.equal((await get('ranged', { range: 'lines=1' })).status, 200);
  const modified = (await get('ranged')).headers.get('last-modified')!;
  assert.equal((await get('ranged', { 'if-modified-since': modified })).status, 304);
  const head = await fetch(url({ path: 'ranged' }), { method: 'HEAD', headers: { 'accept-encoding': 'identity' } });
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, '10']);
});

test('a range of a large file', async () => {
  const content = Buffer.from(Array.from({ length: 200_000 }, (_, at) => at % 251));
  await put('large-range', content);
  const part = await get('large-range', { range: 'bytes=60000-150000' });
  assert.ok(Buffer.from(await part.arrayBuffer()).equals(content.subarray(60_000, 150_001)));
});

test('files of /proc are read until they end, whatever size they claim', async () => {
  const read = await get('/proc/sys/kernel/random/boot_id');
  assert.match(await read.text(), /^[0-9a-f-]{36}\n$/);
  assert.equal(
    await (await get('/sys/kernel/mm/transparent_hugepage/enabled')).text().then((text) => text.length > 0),
    true,
  );
});

test('an empty file is empty', async () => {
  assert.equal((await put('empty', '')).status, 200);
  assert.equal(await (await get('empty')).text(), '');
});

test('multipart writes each file to its name, or to the path', async () => {
  const form = new FormData();
  form.append('file', new Blob(['one']), 'm/one.txt');
  form.append('ignored', 'text');
  form.append('file', new Blob([Buffer.alloc(300_000, '\r\n--')]), join(agent.home, 'm/two "q".txt'));
  const answer = await fetch(url({}), { method: 'POST', body: form });
  assert.deepEqual(
    (await answer.json()).map(({ path }: { path: string }) => path),
    [join(agent.home, 'm/one.txt'), join(agent.home, 'm/two "q".txt')],
  );
  assert.equal(readFileSync(join(agent.home, 'm/one.txt'), 'utf8'), 'one');
  assert.equal(statSync(join(agent.home, 'm/two "q".txt')).size, 300_000);
  const single = new FormData();
  single.append('file', new Blob(['three']), 'elsewhere');
  assert.equal((await fetch(url({ path: 'm/three' }), { method: 'POST', body: single })).status, 200);
  assert.equal(readFileSync(join(agent.home, 'm/three'), 'utf8'), 'three');
});

test('two files for one path, and bodies that are no multipart, are refused', async () => {
  const form = new FormData();
  form.append('file', new Blob(['a']), 'same');
  form.append('file', new Blob(['b']), './same');
  assert.match(await message(await fetch(url({}), { method: 'POST', body: form })), /same path/);
  const type = 'multipart/form-data; boundary=xx';
  for (const body of [
    '',
    '--xx',
    '--xx\r\n',
    '--xx\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\ncut',
    `--xx\r\n${'a'.repeat(20_000)}`,
  ]) {
    assert.equal(
      (await fetch(url({}), { method: 'POST', headers: { 'content-type': type }, body })).status,
      400,
      body.slice(0, 80),
    );
  }
  const unnamed = await fetch(url({}), {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data' },
    body: 'x',
  });
  assert.equal(unnamed.status, 400);
});

test('metadata are kept with the file, and replaced by the next write', async () => {
  const libc = new Libc();
  const path = join(agent.home, 'described');
  const attributes = () =>
    libc
      .listAttributes(path)
      .map((name) => `${name}=${libc.getAttribute(path, name)}`)
      .sort();
  const written = await put('described', 'x', { 'X-Metadata-Author': 'me', 'x-metadata-kind': 'a b' });
  assert.deepEqual((await written.json())[0].metadata, { author: 'me', kind: 'a b' });
  assert.deepEqual(attributes(), ['user.e2b.author=me', 'user.e2b.kind=a b']);
  assert.equal((await put('described', 'y', { 'x-metadata-other': 'z' })).status, 200);
  assert.deepEqual(attributes(), ['user.e2b.other=z']);
  assert.equal((await put('described', 'x', { 'x-metadata-long': 'x'.repeat(5000) })).status, 400);
});

test('what cannot be read or written says why', async () => {
  mkdirSync(join(agent.home, 'directory'), { recursive: true });
  assert.deepEqual([await message(await get('/no/such'))], ["path '/no/such' does not exist"]);
  assert.match(await message(await get('directory')), /is a directory$/);
  assert.match(await message(await put('directory', 'x')), /is a directory$/);
  assert.match(await message(await get('~other/x')), /home of another user/);
  assert.match(await message(await put('', 'x')), /path is missing/);
  assert.equal((await fetch(url({ path: 'x' }), { method: 'POST', body: 'text' })).status, 400);
  assert.equal((await fetch(url({ path: 'x' }), { method: 'DELETE' })).status, 405);
  assert.equal(
    await message(await fetch(url({ path: 'x', username: 'nobody-here' }))),
    "error looking up user 'nobody-here'",
  );
  assert.equal((await get('\0')).status, 400);
});

test('a FIFO or a device neither hangs nor floods', async () => {
  assert.equal((await agent.client.shell('mkfifo ~/fifo', { cwd: '~' })).end?.exitCode, undefined);
  assert.equal((await get('fifo')).status, 400);
  assert.equal((await put('fifo', 'x')).status, 400);
  assert.equal((await get('/dev/zero')).status, 400);
});

test('a link in the path is followed as root', async () => {
  symlinkSync('/etc/hostname', join(agent.home, 'link'));
  assert.equal(await (await get('link')).text(), readFileSync('/etc/hostname', 'utf8'));
});

/** Where the descriptors of a process lead. */
function descriptorsOf(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
}

/** A file system of 64 KiB; undefined without the right to mount one. */
function mountSmallDisk(): ({ path: string } & Disposable) | undefined {
  const path = join(agent.root, 'disk');
  mkdirSync(path, { recursive: true });
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return { path, [Symbol.dispose]: () => execFileSync('umount', ['-l', path]) };
}

test('a full disk is 507, however much is still to come, and leaves no half of a file', async (context) => {
  using disk = mountSmallDisk();
  if (disk === undefined) return context.skip('needs the right to mount');
  const answer = await put(join(disk.path, 'big'), Buffer.alloc(50_000_000));
  assert.equal(answer.status, 507);
  assert.match(await message(answer), /disk space/);
  assert.deepEqual(readdirSync(disk.path), []);
});

test('a file that is replaced by a larger one than the disk holds is not half of it afterwards', async (context) => {
  using disk = mountSmallDisk();
  if (disk === undefined) return context.skip('needs the right to mount');
  const path = join(disk.path, 'file');
  writeFileSync(path, 'old');
  // Without a length nobody knows that it will not fit; it is collected elsewhere first.
  const stream = new ReadableStream({
    start(controller) {
      for (let i = 0; i < 20; i++) controller.enqueue(Buffer.alloc(100_000, 'x'));
      controller.close();
    },
  });
  const init = { method: 'POST', headers: OCTETS, body: stream, duplex: 'half' } as RequestInit;
  assert.equal((await fetch(url({ path }), init)).status, 507);
  assert.equal(readFileSync(path, 'utf8'), 'old');
  assert.equal((await put(path, Buffer.alloc(1_000_000))).status, 507);
  assert.equal(readFileSync(path, 'utf8'), 'old');
  // With room for one of them only, the new one replaces the old one in its place.
  writeFileSync(path, Buffer.alloc(40_000, 'a'));
  assert.equal((await put(path, Buffer.alloc(50_000, 'b'))).status, 200);
  assert.ok(readFileSync(path).equals(Buffer.alloc(50_000, 'b')));
});

test('an upload that breaks off leaves nothing new, and what was there as it was', async () => {
  for (const [name, before] of [
    ['broken-new', undefined],
    ['broken-old', 'as it was'],
  ] as const) {
    const path = join(agent.home, name);
    if (before !== undefined) writeFileSync(path, before);
    const { hostname, port, pathname, search } = new URL(url({ path }));
    const socket = connect(Number(port), hostname);
    const head = `POST ${pathname}${search} HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n`;
    socket.write(`${head}content-length: 5000000\r\n\r\n${'x'.repeat(3_000_000)}`);
    if (before === undefined) await until('it is being written', () => existsSync(path));
    else
      await until('it is being collected', () => descriptorsOf(agent.pid).some((link) => link.includes('.sandport-')));
    socket.destroy();
    if (before === undefined) await until('it is gone', () => !existsSync(path));
    else await until('it is let go', () => !descriptorsOf(agent.pid).some((link) => link.includes('.sandport-')));
    if (before !== undefined) assert.equal(readFileSync(path, 'utf8'), before);
  }
});

test('a large file is replaced by a large file, and a link keeps leading to it', async () => {
  const path = join(agent.home, 'replaced');
  writeFileSync(path, Buffer.alloc(3_000_000, 'a'), { mode: 0o640 });
  symlinkSync(path, join(agent.home, 'to-replaced'));
  const content = Buffer.alloc(2_000_000, 'b');
  assert.equal((await put('to-replaced', content)).status, 200);
  assert.ok(readFileSync(path).equals(content));
  assert.equal(statSync(path).mode & 0o777, 0o640);
  symlinkSync(join(agent.home, 'made-by-link'), join(agent.home, 'dangling'));
  assert.equal((await put('dangling', 'x')).status, 200);
  assert.equal(readFileSync(join(agent.home, 'made-by-link'), 'utf8'), 'x');
});

test('an upload that is refused may go on to its end, so that its sender gets to read the answer', async () => {
  const { hostname, port, pathname, search } = new URL(url({ path: agent.home }));
  const socket = connect(Number(port), hostname);
  const rest = Buffer.alloc(4_000_000);
  const length = rest.length + 1;
  const head = `POST ${pathname}${search} HTTP/1.1\r\nhost: a\r\ncontent-type: application/octet-stream\r\n`;
  socket.write(`${head}content-length: ${length}\r\n\r\nx`);
  const [refusal] = (await once(socket, 'data')) as [Buffer];
  assert.match(refusal.toString(), /^HTTP\/1\.1 400 /);
  socket.write(rest);
  socket.write('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
  const [health] = (await once(socket, 'data')) as [Buffer];
  assert.match(health.toString(), /^HTTP\/1\.1 204 /);
  socket.destroy();
});

function sign(parts: readonly string[]): string {
  return `v1_${createHash('sha256').update(parts.join(':')).digest('base64').replace(/=+$/, '')}`;
}

test('with a token, only it or a signature opens a file', async () => {
  writeFileSync(join(secured.root, 'secret.txt'), 'secret');
  const path = join(secured.root, 'secret.txt');
  const read = (query: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(url({ path, ...query }, secured), { headers });
  assert.equal(await message(await read({})), 'missing signature query parameter');
  assert.equal(await message(await read({ signature: 'v1_x' })), 'invalid signature');
  assert.equal((await read({}, { 'x-access-token': TOKEN })).status, 200);
  const signature = sign([path, 'read', '', TOKEN]);
  assert.equal(await (await read({ signature })).text(), 'secret');
  assert.equal(
    await message(await read({ signature }, { 'x-access-token': 'wrong' })),
    'access token present in header but does not match',
  );
  assert.equal((await read({ signature, username: 'root' })).status, 401, 'the user is signed too');
  assert.equal(
    (await read({ signature, signature_expiration: '9999999999' })).status,
    401,
    'the expiration is signed too',
  );
  const past = sign([path, 'read', '', TOKEN, '1000']);
  assert.equal(
    await message(await read({ signature: past, signature_expiration: '1000' })),
    'signature is already expired',
  );
  const future = sign([path, 'read', 'root', TOKEN, '9999999999']);
  assert.equal((await read({ signature: future, signature_expiration: '9999999999', username: 'root' })).status, 200);
});

test('a signature for reading does not write', async () => {
  const path = join(secured.root, 'written');
  const write = (signature: string) =>
    fetch(url({ path, signature }, secured), { method: 'POST', headers: OCTETS, body: 'x' });
  assert.equal((await write(sign([path, 'read', '', TOKEN]))).status, 401);
  assert.equal(existsSync(path), false);
  assert.equal((await write(sign([path, 'write', '', TOKEN]))).status, 200);
  assert.equal(readFileSync(path, 'utf8'), 'x');
});

test('the compression of a stream is a whole gzip member', async () => {
  await put('member', 'content');
  const { request } = await import('node:http');
  const raw = await new Promise<Buffer>((resolve, reject) => {
    const call = request(url({ path: 'member' }), { headers: { 'accept-encoding': 'gzip' } }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve(Buffer.concat(chunks)));
    });
    call.on('error', reject).end();
  });
  assert.equal(gunzipSync(raw).toString(), 'content');
});
