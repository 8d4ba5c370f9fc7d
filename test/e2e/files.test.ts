// What the official client's `files` does inside a real sandbox, under each runtime.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  AuthenticationError,
  FileNotFoundError,
  FileType,
  InvalidArgumentError,
  NotEnoughSpaceError,
  Sandbox,
} from 'e2b';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const DISK_MB = 64;

for (const runtime of runtimes) {
  describe(`files under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime, ['--disk', String(DISK_MB)]);
      sandbox = await Sandbox.create(server.options);
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    test('what is written is read back in every format, and a program sees it', async () => {
      const info = await sandbox.files.write('notes/today.txt', 'hellö\n');
      assert.deepEqual([info.name, info.path, info.type], ['today.txt', '/home/user/notes/today.txt', FileType.FILE]);
      assert.equal(await sandbox.files.read('notes/today.txt'), 'hellö\n');
      assert.equal((await sandbox.files.read('notes/today.txt', { format: 'bytes' })).length, 7);
      assert.equal((await sandbox.files.read('notes/today.txt', { format: 'blob' })).size, 7);
      const stream = await sandbox.files.read('notes/today.txt', { format: 'stream' });
      assert.equal(await new Response(stream).text(), 'hellö\n');
      assert.equal((await sandbox.commands.run('cat notes/today.txt')).stdout, 'hellö\n');
    });

    test('streams, compressed content and metadata arrive', async () => {
      const content = 'line\n'.repeat(1_000_000);
      await sandbox.files.write('streamed', new Blob([content]).stream(), { gzip: true, metadata: { author: 'me' } });
      assert.equal(await sandbox.files.read('streamed', { gzip: true }), content);
      const info = await sandbox.files.getInfo('streamed');
      assert.deepEqual([info.size, info.metadata], [content.length, { author: 'me' }]);
    });

    test('several files are written at once and listed to a depth', async () => {
      const files = ['a', 'b/c', 'b/d'].map((name) => ({ path: `tree/${name}`, data: name }));
      assert.equal((await sandbox.files.write(files)).length, 3);
      await sandbox.files.writeFiles([{ path: 'tree/e', data: 'e' }]);
      const names = async (depth: number): Promise<string[]> =>
        (await sandbox.files.list('tree', { depth })).map(({ path }) => path.replace('/home/user/tree/', ''));
      assert.deepEqual(await names(1), ['a', 'b', 'e']);
      assert.deepEqual(await names(2), ['a', 'b', 'b/c', 'b/d', 'e']);
    });

    test('directories are made, moved and removed', async () => {
      assert.equal(await sandbox.files.makeDir('made'), true);
      assert.equal(await sandbox.files.makeDir('made'), false);
      assert.equal((await sandbox.files.rename('made', 'moved')).type, FileType.DIR);
      assert.equal(await sandbox.files.exists('made'), false);
      assert.equal(await sandbox.files.exists('moved'), true);
      await sandbox.files.remove('moved');
      assert.equal(await sandbox.files.exists('moved'), false);
    });

    test('failures have the class that programs catch', async () => {
      await assert.rejects(sandbox.files.read('no-such'), FileNotFoundError);
      await assert.rejects(sandbox.files.list('no-such'), FileNotFoundError);
      await assert.rejects(sandbox.files.list('/etc/passwd'), InvalidArgumentError);
      await assert.rejects(sandbox.files.write('/etc', 'x'), InvalidArgumentError);
    });

    test('signed URLs read and write without a token', async () => {
      const form = new FormData();
      form.append('file', new Blob(['by URL']), 'name');
      const up = await sandbox.uploadUrl('/tmp/by+url', { useSignatureExpiration: 60 });
      assert.equal((await fetch(up, { method: 'POST', body: form })).status, 200);
      assert.equal(await (await fetch(await sandbox.downloadUrl('/tmp/by+url'))).text(), 'by URL');
      assert.equal((await fetch(up)).status, 401);
      const short = await sandbox.downloadUrl('/tmp/by+url', { useSignatureExpiration: 1 });
      const expired = await waitFor('it has expired', async () => {
        const answer = await fetch(short);
        return answer.status === 200 ? undefined : answer;
      });
      assert.equal(expired.status, 401);
      assert.match(await expired.text(), /signature is already expired/);
    });

    test('directories, files in the way and odd names are told apart', async () => {
      const { files } = sandbox;
      await files.makeDir('a-directory');
      await files.write('a-file', 'x');
      await assert.rejects(files.read('a-directory'), InvalidArgumentError);
      await assert.rejects(files.write('a-directory', 'x'), InvalidArgumentError);
      await assert.rejects(files.write('a-file/below', 'x'), InvalidArgumentError);
      await assert.rejects(files.read('a-file', { user: 'nobody-here' }), AuthenticationError);
      for (const name of ['wïth spaces & ünicode %41?.txt', 'quo\'te"s', '-dash', 'new\nline', '日本語']) {
        await files.write(`odd/${name}`, name);
        assert.equal(await files.read(`odd/${name}`), name);
      }
      assert.equal((await files.list('odd')).length, 5);
    });

    test('a full disk is told, and leaves neither half of a file nor takes what was there', async () => {
      const full = await Sandbox.create(server.options);
      await full.files.write('kept', 'as it was');
      await full.commands.run(`head -c ${DISK_MB / 2}M /dev/zero > filler`);
      const tooMuch = new Blob([new Uint8Array((DISK_MB / 2) * 1024 * 1024)]);
      await assert.rejects(full.files.write('new', tooMuch), NotEnoughSpaceError);
      await assert.rejects(full.files.write('kept', tooMuch), NotEnoughSpaceError);
      assert.equal(await full.files.exists('new'), false);
      assert.equal(await full.files.read('kept'), 'as it was');
      assert.equal((await full.commands.run('echo well > after; cat after')).stdout, 'well\n');
      await full.kill();
    });
  });
}
