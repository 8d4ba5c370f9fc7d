// Our own client against real sandboxes, under each runtime: what its methods promise, and the class of each error.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';
import {
  AuthenticationError,
  CommandExitError,
  FileNotFoundError,
  FileType,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  Sandbox,
  SandboxNotFoundError,
  SandportError,
  TemplateError,
  TimeoutError,
} from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const DISK_MB = 128;

for (const runtime of runtimes) {
  describe(`the client "sandport" under ${runtime}`, () => {
    let server: SandportServer;
    let sandbox: Sandbox;

    before(async () => {
      server = await SandportServer.start(runtime, ['--disk', String(DISK_MB)]);
      sandbox = await Sandbox.create({ ...server.options, metadata: { kind: 'first' }, envs: { COLOUR: 'green' } });
    });
    after(async () => {
      assert.deepEqual(await server.stop(), []);
    });

    describe('commands', () => {
      test('run returns the result, with user, directory and environment', async () => {
        const result = await sandbox.commands.run('id -un; pwd; echo $COLOUR $SHAPE; echo err >&2', {
          user: 'root',
          cwd: '/usr',
          envs: { SHAPE: 'round' },
        });
        assert.deepEqual(result, { exitCode: 0, stdout: 'root\n/usr\ngreen round\n', stderr: 'err\n' });
      });

      test('failures have a class each', async () => {
        await assert.rejects(sandbox.commands.run('echo half; exit 7'), (error) => {
          assert(error instanceof CommandExitError && error instanceof SandportError);
          assert.deepEqual([error.exitCode, error.stdout], [7, 'half\n']);
          return true;
        });
        await assert.rejects(sandbox.commands.run('sleep 60', { timeoutMs: 500 }), TimeoutError);
        await assert.rejects(sandbox.commands.run('true', { cwd: '/no/such' }), InvalidArgumentError);
        await assert.rejects(sandbox.commands.run('true', { user: 'nobody-here' }), AuthenticationError);
        await assert.rejects(sandbox.commands.connect(999_999), NotFoundError);
        await assert.rejects(sandbox.commands.sendStdin(999_999, 'x'), NotFoundError);
        assert.equal(await sandbox.commands.kill(999_999), false);
      });

      test('a background command is fed, listed, left, found again and waited for', async () => {
        const seen: string[] = [];
        const handle = await sandbox.commands.run('while read line; do echo "got $line"; done; echo over', {
          background: true,
          stdin: true,
          onStdout: (text) => void seen.push(text),
        });
        await handle.sendStdin('ä\n');
        await waitFor('the first answer', () => seen.join('') === 'got ä\n');
        assert(
          (await sandbox.commands.list()).some(({ pid, args }) => pid === handle.pid && args.at(-1)?.includes('read')),
        );
        await handle.disconnect();
        const again = await sandbox.commands.connect(handle.pid);
        await sandbox.commands.sendStdin(handle.pid, new TextEncoder().encode('b\n'));
        await sandbox.commands.closeStdin(handle.pid);
        assert.equal((await again.wait()).stdout, 'got b\nover\n');
        assert.equal(again.exitCode, 0);
      });

      test('the end of a block kills its command', async () => {
        let pid: number;
        {
          await using handle = await sandbox.commands.run('sleep 300', { background: true });
          pid = handle.pid;
        }
        const listed = async (): Promise<number[]> => (await sandbox.commands.list()).map((process) => process.pid);
        await waitFor('it is gone', async () => !(await listed()).includes(pid));
      });
    });

    describe('terminals', () => {
      test('one is opened, typed into, given another size, left, found again and killed', async () => {
        let text = '';
        const onData = (data: Uint8Array): void => {
          text += Buffer.from(data).toString();
        };
        const shows = (part: string): Promise<unknown> => waitFor(part, () => text.includes(part));
        const terminal = await sandbox.pty.create({
          cols: 90,
          rows: 25,
          onData,
          cwd: '/tmp',
          envs: { COLOUR: 'blue' },
        });
        await shows('$ ');
        await terminal.sendStdin('echo "<$(stty size) $PWD $COLOUR $TERM>"\n');
        await shows('<25 90 /tmp blue xterm-256color>');
        await sandbox.pty.resize(terminal.pid, { cols: 120, rows: 50 });
        await terminal.disconnect();
        text = '';
        const again = await sandbox.pty.connect(terminal.pid, { onData });
        await sandbox.pty.sendInput(terminal.pid, 'echo "<$(stty size)>"\n');
        await shows('<50 120>');
        assert.equal(await sandbox.pty.kill(terminal.pid), true);
        await assert.rejects(again.wait(), CommandExitError);
        assert.equal(await sandbox.pty.kill(terminal.pid), false);
      });

      test('the exit code of its shell is its own, and failures have a class each', async () => {
        const options = { cols: 80, rows: 24, onData: () => {} };
        const terminal = await sandbox.pty.create(options);
        await terminal.sendStdin('exit 3\n');
        await assert.rejects(terminal.wait(), { exitCode: 3 });
        await assert.rejects(sandbox.pty.create({ ...options, cwd: '/no/such' }), InvalidArgumentError);
        await assert.rejects(sandbox.pty.create({ ...options, user: 'nobody-here' }), AuthenticationError);
        await assert.rejects(sandbox.pty.connect(999_999), NotFoundError);
        await assert.rejects(sandbox.pty.resize(999_999, { cols: 80, rows: 24 }), NotFoundError);
      });
    });

    describe('files', () => {
      test('what is written is read back in every format', async () => {
        const text = '\uFEFFhellö\n';
        const info = await sandbox.files.write('notes/today.txt', text);
        assert.deepEqual(info, { name: 'today.txt', path: '/home/user/notes/today.txt', type: FileType.FILE });
        assert.equal(await sandbox.files.read('notes/today.txt'), text);
        assert.equal(await sandbox.files.read('~/notes/today.txt', { gzip: true }), text);
        const bytes = await sandbox.files.read(info.path, { format: 'bytes' });
        assert.deepEqual(Buffer.from(bytes), Buffer.from(text));
        assert.equal((await sandbox.files.read(info.path, { format: 'blob' })).size, bytes.length);
        const stream = await sandbox.files.read(info.path, { format: 'stream' });
        assert.deepEqual(Buffer.from(await new Response(stream).arrayBuffer()), Buffer.from(text));
        assert.equal(
          (await sandbox.commands.run('stat -c "%U %a" ~/notes ~/notes/today.txt')).stdout,
          'user 755\nuser 644\n',
        );
      });

      test('8 MB arrive as they are, streamed both ways, also compressed', async () => {
        const content = randomBytes(8_000_000);
        for (const gzip of [false, true]) {
          await sandbox.files.write('/tmp/big', new Blob([content]).stream(), { gzip });
          const { stdout } = await sandbox.commands.run('sha256sum < /tmp/big');
          assert.equal(stdout.slice(0, 64), createHash('sha256').update(content).digest('hex'));
          const hash = createHash('sha256');
          for await (const piece of await sandbox.files.read('/tmp/big', { format: 'stream', gzip }))
            hash.update(piece);
          assert.equal(hash.digest('hex'), stdout.slice(0, 64));
        }
        await sandbox.files.remove('/tmp/big');
      });

      test('an empty file, odd names and special files', async () => {
        await sandbox.files.write('empty', '');
        assert.equal(await sandbox.files.read('empty'), '');
        const path = '/tmp/ä b&c=d?e#f%20\'g"';
        await sandbox.files.write(path, 'odd');
        assert.equal(await sandbox.files.read(path), 'odd');
        assert.equal((await sandbox.files.getInfo(path)).path, path);
        assert.match(await sandbox.files.read('/proc/version'), /Linux/);
      });

      test('several files are written at once, and listed to any depth', async () => {
        const files = Array.from({ length: 30 }, (_, index) => ({
          path: `tree/${index % 3}/f${index}`,
          data: `${index}`,
        }));
        const infos = await sandbox.files.write(files);
        assert.deepEqual(
          infos.map(({ path }) => path),
          files.map(({ path }) => `/home/user/${path}`),
        );
        await sandbox.files.writeFiles([{ path: 'tree/top', data: new Blob(['x']) }]);
        const names = (await sandbox.files.list('tree')).map(({ name, type }) => `${name} ${type}`);
        assert.deepEqual(names, ['0 dir', '1 dir', '2 dir', 'top file']);
        assert.equal((await sandbox.files.list('tree', { depth: 2 })).length, 34);
        assert.equal(await sandbox.files.read('tree/2/f29'), '29');
      });

      test('getInfo tells what is there, exists whether', async () => {
        await sandbox.files.write('/srv/info', 'four', { user: 'root', metadata: { Author: 'me' } });
        await sandbox.commands.run('sudo chmod 640 /srv/info; ln -s /srv/info ~/link; ln -s /nowhere ~/broken');
        const info = await sandbox.files.getInfo('/srv/info');
        assert.deepEqual([info.size, info.mode, info.permissions, info.owner], [4, 0o640, '-rw-r-----', 'root']);
        assert.deepEqual(info.metadata, { author: 'me' });
        assert(Math.abs(info.modifiedTime!.getTime() - Date.now()) < 60_000);
        const link = await sandbox.files.getInfo('link');
        assert.deepEqual([link.type, link.symlinkTarget], [FileType.FILE, '/srv/info']);
        assert.equal((await sandbox.files.getInfo('broken')).type, FileType.SYMLINK);
        assert.equal(await sandbox.files.exists('/srv/info'), true);
        assert.equal(await sandbox.files.exists('/srv/other'), false);
      });

      test('directories are made once, moved and removed', async () => {
        assert.equal(await sandbox.files.makeDir('made/below'), true);
        assert.equal(await sandbox.files.makeDir('made/below'), false);
        await sandbox.files.write('made/below/file', 'x');
        const moved = await sandbox.files.rename('made/below', 'other/place');
        assert.deepEqual([moved.path, moved.type], ['/home/user/other/place', FileType.DIR]);
        assert.equal(await sandbox.files.read('other/place/file'), 'x');
        await sandbox.files.remove('other');
        assert.equal(await sandbox.files.exists('other'), false);
        await sandbox.files.remove('other');
      });

      test('failures have a class each', async () => {
        const { files } = sandbox;
        await assert.rejects(files.read('no-such'), (error) => {
          assert(error instanceof FileNotFoundError && error instanceof SandportError);
          assert.equal(error.message, "path '/home/user/no-such' does not exist");
          return true;
        });
        await assert.rejects(files.list('no-such'), FileNotFoundError);
        await assert.rejects(files.getInfo('no-such'), FileNotFoundError);
        await assert.rejects(files.rename('no-such', 'x'), FileNotFoundError);
        await assert.rejects(files.read('/etc'), InvalidArgumentError);
        await assert.rejects(files.write('/etc', 'x'), InvalidArgumentError);
        await assert.rejects(files.list('/etc/passwd'), InvalidArgumentError);
        await assert.rejects(files.makeDir('/etc/passwd'), InvalidArgumentError);
        await assert.rejects(files.read('x', { user: 'nobody-here' }), AuthenticationError);
        await assert.rejects(files.list('.', { user: 'nobody-here' }), AuthenticationError);
        await assert.rejects(files.read('/dev/zero'), InvalidArgumentError);
        await sandbox.commands.run('truncate -s 100G /tmp/long');
        await assert.rejects(files.read('/tmp/long', { requestTimeoutMs: 500 }), TimeoutError);
        await files.remove('/tmp/long');
      });

      test('a full disk is said to be full', async () => {
        const small = await Sandbox.create(server.options);
        const mebibyte = new Uint8Array(1024 * 1024);
        let pieces = 0;
        const tooMuch = new ReadableStream({
          pull(controller) {
            if (pieces++ === 2 * DISK_MB) controller.close();
            else controller.enqueue(mebibyte);
          },
        });
        await assert.rejects(small.files.write('big', tooMuch), NotEnoughSpaceError);
        assert.equal(await small.files.exists('big'), false);
        await small.files.write('more', 'small');
        await small.kill();
      });

      test('signed URLs read and write without a token, until they expire', async () => {
        const up = await sandbox.uploadUrl('/tmp/up+load/a b', { useSignatureExpiration: 60 });
        const headers = { 'content-type': 'application/octet-stream' };
        assert.equal((await fetch(up, { method: 'POST', headers, body: 'by URL' })).status, 200);
        const down = await sandbox.downloadUrl('/tmp/up+load/a b', { user: 'root' });
        assert.equal(await (await fetch(down)).text(), 'by URL');
        const form = new FormData();
        form.append('file', new Blob(['by form']), 'form.txt');
        assert.equal((await fetch(await sandbox.uploadUrl(), { method: 'POST', body: form })).status, 200);
        assert.equal(await sandbox.files.read('form.txt'), 'by form');
        assert.equal((await fetch(down.replace('a+b', 'other'))).status, 401);
        assert.equal((await fetch(up)).status, 401, 'a URL for writing does not read');
        const short = await sandbox.downloadUrl('form.txt', { useSignatureExpiration: 1 });
        await waitFor('the URL has expired', async () => (await fetch(short)).status === 401);
      });
    });

    describe('the sandbox', () => {
      test('getHost and getUrl lead to a server inside', async () => {
        await using _server = await sandbox.commands.run('cd /etc && python3 -m http.server 4500', {
          background: true,
          timeoutMs: 0,
        });
        assert.equal(sandbox.getHost(4500), `4500-${sandbox.sandboxId}.${server.connection.domain}`);
        const url = `${sandbox.getUrl(4500)}/hostname`;
        await waitFor('the server answers', async () => (await fetch(url)).status === 200);
        assert.throws(() => sandbox.getHost(70_000), InvalidArgumentError);
      });

      test('list finds it by metadata, page by page', async () => {
        const others = await Promise.all(
          [1, 2, 3].map((number) =>
            Sandbox.create({ ...server.options, metadata: { kind: 'more', number: `${number}` } }),
          ),
        );
        const pages = Sandbox.list({ ...server.options, query: { metadata: { kind: 'more' } }, limit: 2 });
        const found: string[] = [];
        const sizes: number[] = [];
        while (pages.hasNext) {
          const items = await pages.nextItems();
          sizes.push(items.length);
          found.push(...items.map(({ sandboxId }) => sandboxId));
        }
        assert.deepEqual(sizes, [2, 1]);
        assert.deepEqual(found.sort(), others.map(({ sandboxId }) => sandboxId).sort());
        for (const other of others) assert.equal(await other.kill(), true);
      });

      test('getInfo tells its facts, and setTimeout moves its end', async () => {
        await sandbox.setTimeout(600_000);
        const info = await sandbox.getInfo();
        assert.deepEqual(await Sandbox.getFullInfo(sandbox.sandboxId, server.options), await sandbox.getInfo());
        assert.deepEqual([info.sandboxId, info.templateId, info.state], [sandbox.sandboxId, 'base', 'running']);
        assert.deepEqual(info.metadata, { kind: 'first' });
        assert(Math.abs(info.endAt.getTime() - Date.now() - 600_000) < 30_000);
        await Sandbox.setTimeout(sandbox.sandboxId, 900_000, server.options);
        assert((await Sandbox.getInfo(sandbox.sandboxId, server.options)).endAt > info.endAt);
      });

      test('connect gives a second object for the same sandbox', async () => {
        const second = await Sandbox.connect(sandbox.sandboxId, server.options);
        await sandbox.files.write('shared', 'yes');
        assert.equal(await second.files.read('shared'), 'yes');
        assert.equal(await second.connect(), second);
      });

      test('the end of a block kills it, and nothing answers afterwards', async () => {
        let ended: Sandbox;
        {
          await using short = await Sandbox.create(server.options);
          assert.equal(await short.isRunning(), true);
          ended = short;
        }
        assert.equal(await ended.isRunning(), false);
        assert.equal(await ended.kill(), false);
        assert.equal(await Sandbox.kill(ended.sandboxId, server.options), false);
        await assert.rejects(ended.getInfo(), SandboxNotFoundError);
        await assert.rejects(ended.setTimeout(60_000), SandboxNotFoundError);
        await assert.rejects(Sandbox.connect(ended.sandboxId, server.options), SandboxNotFoundError);
        await assert.rejects(ended.commands.run('true'), SandboxNotFoundError);
        await assert.rejects(ended.files.read('a'), TimeoutError);
      });

      test('a sandbox that ends takes its commands, downloads and watches with it, and says so', async () => {
        const short = await Sandbox.create(server.options);
        const command = await short.commands.run('sleep 300', { background: true });
        await short.commands.run('truncate -s 100G /tmp/long');
        const stream = (await short.files.read('/tmp/long', { format: 'stream' })).getReader();
        await stream.read();
        await short.kill();
        await assert.rejects(command.wait(), (error) => error instanceof TimeoutError && /killed/.test(error.message));
        const drain = async (): Promise<void> => {
          while (!(await stream.read()).done);
        };
        await assert.rejects(drain(), TimeoutError);
      });

      test('what the API refuses has a class each', async () => {
        const wrong = { ...server.options, apiKey: `e2b_${'1'.repeat(40)}` };
        await assert.rejects(Sandbox.create(wrong), AuthenticationError);
        await assert.rejects(Sandbox.create('no-such-template', server.options), TemplateError);
        await assert.rejects(Sandbox.create({ ...server.options, timeoutMs: 1e12 }), InvalidArgumentError);
        const network = { denyOut: ['nonsense'] };
        await assert.rejects(Sandbox.create({ ...server.options, network }), InvalidArgumentError);
        const silent = createServer().listen(0);
        await assert.rejects(
          Sandbox.getInfo(sandbox.sandboxId, {
            ...server.options,
            apiUrl: `http://127.0.0.1:${(silent.address() as { port: number }).port}`,
            requestTimeoutMs: 200,
          }),
          TimeoutError,
        );
        silent.closeAllConnections();
        silent.close();
      });
    });
  });
}
