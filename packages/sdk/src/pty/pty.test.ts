import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FrameReader } from '@sandport/protocol/connect';
import { CommandExitError, InvalidArgumentError, NotFoundError, Sandbox } from '../index.ts';
import { end, endFrame, FakeServer, frame, json, start, stream } from '../testing/fake-server.ts';

let server: FakeServer;
let sandbox: Sandbox;
before(async () => {
  server = await FakeServer.start();
  sandbox = await Sandbox.create(server.options);
});
after(() => server[Symbol.asyncDispose]());

const shown = (text: string): Uint8Array => frame({ data: { pty: Buffer.from(text).toString('base64') } });
const lastBody = (): unknown => JSON.parse(server.seen.at(-1)!.body.toString());

function lastMessage(): { headers: Record<string, unknown>; body: unknown } {
  const { headers, body } = server.seen.at(-1)!;
  const [first] = new FrameReader(1e6).push(body);
  return { headers, body: JSON.parse(Buffer.from(first!.payload).toString()) };
}

test('create starts a login shell in a terminal and hands over what it shows as bytes', async () => {
  server.on('POST /process.Process/Start', stream([start, shown('$ '), shown('ä'), end(0), endFrame]));
  const seen: Uint8Array[] = [];
  const onData = (data: Uint8Array): void => void seen.push(data);
  const options = {
    cols: 80,
    rows: 24,
    onData,
    user: 'root',
    cwd: '/tmp',
    envs: { A: '1', LANG: 'C' },
    timeoutMs: 5000,
  };
  const handle = await sandbox.pty.create(options);
  assert.deepEqual(await handle.wait(), { exitCode: 0, stdout: '', stderr: '' });
  assert.equal(Buffer.concat(seen).toString(), '$ ä');
  const { headers, body } = lastMessage();
  assert.deepEqual(body, {
    process: {
      cmd: '/bin/bash',
      args: ['-i', '-l'],
      envs: { TERM: 'xterm-256color', LANG: 'C', LC_ALL: 'C.UTF-8', A: '1' },
      cwd: '/tmp',
    },
    pty: { size: { cols: 80, rows: 24 } },
  });
  assert.equal(headers.authorization, `Basic ${btoa('root:')}`);
  assert.equal(headers['connect-timeout-ms'], '5000');
});

test('connect hands over what is shown from then on; the end of the shell is the end of the handle', async () => {
  server.on('POST /process.Process/Connect', stream([start, shown('later'), end(3), endFrame]));
  const seen: Uint8Array[] = [];
  const handle = await sandbox.pty.connect(7, { onData: (data) => void seen.push(data) });
  await assert.rejects(handle.wait(), CommandExitError);
  assert.equal(Buffer.concat(seen).toString(), 'later');
  assert.deepEqual(lastMessage().body, { process: { pid: 7 } });
});

test('input goes to the terminal, also through the handle', async () => {
  server.on('POST /process.Process/SendInput', json(200, {}));
  server.on('POST /process.Process/Start', stream([start], 'open'));
  await sandbox.pty.sendInput(7, new TextEncoder().encode('ls\n'));
  const expected = { process: { pid: 7 }, input: { pty: btoa('ls\n') } };
  assert.deepEqual(lastBody(), expected);
  const handle = await sandbox.pty.create({ cols: 80, rows: 24, onData: () => {} });
  await handle.sendStdin('ls\n');
  assert.deepEqual(lastBody(), expected);
  await handle.disconnect();
});

test('resize tells the size; what is none is refused before it is sent', async () => {
  server.on('POST /process.Process/Update', json(200, {}));
  await sandbox.pty.resize(7, { cols: 100, rows: 30 });
  assert.deepEqual(lastBody(), { process: { pid: 7 }, pty: { size: { cols: 100, rows: 30 } } });
  const sent = server.seen.length;
  for (const cols of [0, -1, 1.5, 65_536, Number.NaN]) {
    await assert.rejects(sandbox.pty.resize(7, { cols, rows: 30 }), InvalidArgumentError);
    await assert.rejects(sandbox.pty.create({ cols, rows: 30, onData: () => {} }), /cols is .*; expected a whole/);
  }
  assert.equal(server.seen.length, sent);
});

test('kill says whether there was a terminal', async () => {
  server.on('POST /process.Process/SendSignal', json(200, {}));
  assert.equal(await sandbox.pty.kill(7), true);
  assert.deepEqual(lastBody(), { process: { pid: 7 }, signal: 'SIGNAL_SIGKILL' });
  const missing = json(404, { code: 'not_found', message: 'no such process' });
  server.on('POST /process.Process/SendSignal', missing);
  assert.equal(await sandbox.pty.kill(7), false);
  server.on('POST /process.Process/SendInput', missing);
  await assert.rejects(sandbox.pty.sendInput(7, 'x'), NotFoundError);
});
