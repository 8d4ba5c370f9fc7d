import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EntryInfo } from '@sandport/protocol/filesystem-rpc';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent({ defaultUser: 'user' });
});
after(() => agent[Symbol.asyncDispose]());

const call = (method: string, message: object, user?: string) =>
  agent.client.unary(`filesystem.Filesystem/${method}`, message, user === undefined ? {} : { user });
const failure = async (method: string, message: object) => (await call(method, message)).body.code;

test('Stat tells everything about a file', async () => {
  const path = join(agent.home, 'file.txt');
  writeFileSync(path, 'hello');
  chmodSync(path, 0o640);
  utimesSync(path, 1_700_000_000, 1_700_000_000.25);
  assert.deepEqual((await call('Stat', { path: 'file.txt' })).body.entry, {
    name: 'file.txt',
    type: 'FILE_TYPE_FILE',
    path,
    size: '5',
    mode: 0o640,
    permissions: '-rw-r-----',
    owner: 'root',
    group: 'root',
    modifiedTime: '2023-11-14T22:13:20.250Z',
  });
});

test('Stat shows metadata, numbers without names, and kinds by their letters', async () => {
  const body = {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream', 'x-metadata-by': 'me' },
    body: 'x',
  };
  await fetch(`${agent.url}/files?path=described`, body);
  const { entry } = (await call('Stat', { path: 'described' })).body;
  assert.deepEqual([entry.metadata, entry.owner, entry.group], [{ by: 'me' }, 'user', 'user']);
  await agent.client.shell('mkdir -m 1777 shared; chown 4321:4322 shared; mkfifo fifo', {
    cwd: agent.home,
    user: 'root',
  });
  const shared = (await call('Stat', { path: 'shared' })).body.entry;
  assert.deepEqual([shared.permissions, shared.owner, shared.group], ['dtrwxrwxrwx', '4321', '4322']);
  const fifo = (await call('Stat', { path: 'fifo' })).body.entry;
  assert.deepEqual([fifo.type, fifo.permissions[0]], [undefined, 'p']);
});

test('a link has the type of its target, and is a link when it leads nowhere', async () => {
  mkdirSync(join(agent.home, 'target'));
  symlinkSync('target', join(agent.home, 'to-directory'));
  symlinkSync('nowhere', join(agent.home, 'to-nowhere'));
  const link = (await call('Stat', { path: 'to-directory' })).body.entry;
  assert.deepEqual(
    [link.type, link.symlinkTarget, link.permissions],
    ['FILE_TYPE_DIRECTORY', join(agent.home, 'target'), 'Lrwxrwxrwx'],
  );
  assert.equal((await call('Stat', { path: 'to-nowhere' })).body.entry.type, 'FILE_TYPE_SYMLINK');
});

test('MakeDir makes all directories for the user and tells when there is one', async () => {
  const path = join(agent.home, 'made/in/depth');
  const { status, body } = await call('MakeDir', { path: 'made/in/depth' });
  assert.deepEqual([status, body.entry.path, body.entry.type], [200, path, 'FILE_TYPE_DIRECTORY']);
  for (const made of ['made', 'made/in', 'made/in/depth'])
    assert.equal(statSync(join(agent.home, made)).uid, 1000, made);
  assert.equal(await failure('MakeDir', { path }), 'already_exists');
  writeFileSync(join(agent.home, 'plain'), '');
  assert.equal(await failure('MakeDir', { path: 'plain' }), 'invalid_argument');
  assert.equal(await failure('MakeDir', { path: 'plain/below' }), 'invalid_argument');
});

test('Move renames, also into directories that are not there yet', async () => {
  writeFileSync(join(agent.home, 'moving'), 'content');
  const { body } = await call('Move', { source: 'moving', destination: '~/new/place' });
  assert.equal(body.entry.path, join(agent.home, 'new/place'));
  assert.equal(readFileSync(join(agent.home, 'new/place'), 'utf8'), 'content');
  assert.equal(statSync(join(agent.home, 'new')).uid, 1000);
  assert.equal(await failure('Move', { source: 'moving', destination: 'x' }), 'not_found');
  mkdirSync(join(agent.home, 'full/of/things'), { recursive: true });
  mkdirSync(join(agent.home, 'other'));
  assert.equal(await failure('Move', { source: 'other', destination: 'full' }), 'failed_precondition');
});

test('Move to another file system copies all and removes the original', async (context) => {
  const other = join(agent.root, 'other-disk');
  mkdirSync(other);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', other], { stdio: 'ignore' });
  } catch {
    return context.skip('needs the right to mount');
  }
  try {
    const tree = join(agent.home, 'tree');
    mkdirSync(join(tree, 'sub'), { recursive: true, mode: 0o750 });
    writeFileSync(join(tree, 'sub/file'), 'content', { mode: 0o640 });
    chownSync(join(tree, 'sub/file'), 1000, 1000);
    symlinkSync('sub/file', join(tree, 'link'));
    const { body } = await call('Move', { source: 'tree', destination: join(other, 'tree') });
    assert.equal(body.entry?.path, join(other, 'tree'));
    assert.equal(existsSync(tree), false);
    assert.equal(readFileSync(join(other, 'tree/link'), 'utf8'), 'content');
    const { uid, mode } = statSync(join(other, 'tree/sub/file'));
    assert.deepEqual([uid, mode & 0o777], [1000, 0o640]);

    writeFileSync(join(agent.home, 'too-big'), Buffer.alloc(3_000_000));
    assert.equal(
      await failure('Move', { source: 'too-big', destination: join(other, 'too-big') }),
      'resource_exhausted',
    );
    assert.equal(existsSync(join(other, 'too-big')), false);
    assert.equal(statSync(join(agent.home, 'too-big')).size, 3_000_000);
  } finally {
    execFileSync('umount', ['-l', other]);
  }
});

test('ListDir lists as deep as asked, sorted, without entering links', async () => {
  mkdirSync(join(agent.home, 'tree/b/deep'), { recursive: true });
  writeFileSync(join(agent.home, 'tree/a'), '');
  writeFileSync(join(agent.home, 'tree/b/deep/x'), '');
  writeFileSync(join(agent.home, 'tree/c'), '');
  symlinkSync('b', join(agent.home, 'tree/link'));
  const paths = async (message: object) =>
    (await call('ListDir', message)).body.entries?.map(({ path }: EntryInfo) => path.slice(agent.home.length + 1));
  assert.deepEqual(await paths({ path: 'tree' }), ['tree/a', 'tree/b', 'tree/c', 'tree/link']);
  assert.deepEqual(await paths({ path: 'tree', depth: 2 }), ['tree/a', 'tree/b', 'tree/b/deep', 'tree/c', 'tree/link']);
  assert.equal((await paths({ path: 'tree', depth: 9 }))?.includes('tree/b/deep/x'), true);
  assert.deepEqual(await paths({ path: 'tree/link', depth: 2 }), ['tree/link/deep', 'tree/link/deep/x']);
  assert.equal(await paths({ path: 'target' }), undefined, 'an empty list is absent');
  assert.equal(await failure('ListDir', { path: '/no/such' }), 'not_found');
  assert.equal(await failure('ListDir', { path: 'tree/a' }), 'invalid_argument');
});

test('a directory too large for one message is refused', async () => {
  await agent.client.shell('mkdir many; cd many; seq 50001 | xargs touch', { cwd: agent.home, user: 'root' });
  assert.equal(await failure('ListDir', { path: 'many' }), 'resource_exhausted');
});

test('Remove removes whatever is there, and nothing without complaint', async () => {
  mkdirSync(join(agent.home, 'gone/deep'), { recursive: true });
  mkdirSync(join(agent.home, 'kept'));
  writeFileSync(join(agent.home, 'kept/file'), '');
  symlinkSync('../kept', join(agent.home, 'gone/link'));
  assert.equal((await call('Remove', { path: 'gone' })).status, 200);
  assert.equal(existsSync(join(agent.home, 'gone')), false);
  assert.ok(existsSync(join(agent.home, 'kept/file')), 'what a link leads to stays');
  assert.equal((await call('Remove', { path: 'gone' })).status, 200);
});

test('paths that cannot be meant, wrong types and unknown users are refused', async () => {
  for (const message of [{ path: '~other/x' }, { path: 5 }, { path: 'a\0b' }, { path: 'x'.repeat(5000) }, []]) {
    assert.equal(await failure('Stat', message), 'invalid_argument', JSON.stringify(message).slice(0, 80));
  }
  assert.equal(await failure('Stat', { path: '/no/such' }), 'not_found');
  assert.equal(await failure('ListDir', { path: '/', depth: -1 }), 'invalid_argument');
  assert.equal((await call('Stat', { path: '/' }, 'nobody-here')).status, 401);
  assert.equal((await call('Stat', { path: '/' })).body.entry.name, '/');
});
