import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { encodeFrame, FLAG_COMPRESSED, FLAG_END_STREAM, FrameReader } from '@sandport/protocol/connect';
import {
  AuthenticationError,
  CommandExitError,
  InvalidArgumentError,
  NotFoundError,
  Sandbox,
  SandboxError,
  SandboxNotFoundError,
  SandportError,
  TimeoutError,
} from '../index.ts';
import {
  type Answer,
  end,
  endFrame,
  FakeServer,
  frame,
  json,
  SANDBOX_ID,
  start,
  stderr,
  stdout,
  stream,
} from '../testing/fake-server.ts';

const START = 'POST /process.Process/Start';
const healthy: Answer = (response) => response.writeHead(204).end();
const gone = json(502, { sandboxId: SANDBOX_ID, message: 'The sandbox was not found', code: 502 });

let server: FakeServer;
let sandbox: Sandbox;
before(async () => {
  server = await FakeServer.start();
  sandbox = await Sandbox.create(server.options);
});
after(() => server[Symbol.asyncDispose]());

async function failure(promise: Promise<unknown>): Promise<SandportError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (thrown: unknown) => thrown,
  );
  assert(error instanceof SandportError, String(error));
  return error;
}

function startRequest(): { headers: Record<string, unknown>; body: unknown } {
  const { headers, body } = server.seen.findLast(({ route }) => route === START)!;
  const [first] = new FrameReader(1e6).push(body);
  return { headers, body: JSON.parse(Buffer.from(first!.payload).toString()) };
}

test('run starts a login shell, with user, limit and options on the wire, and returns the result', async () => {
  server.on(START, stream([start, stdout('out'), stderr('err'), end(0), endFrame]));
  const result = await sandbox.commands.run('echo', { user: 'jürgen', cwd: '/tmp', envs: { A: '1' }, timeoutMs: 5000 });
  assert.deepEqual(result, { exitCode: 0, stdout: 'out', stderr: 'err' });
  const { headers, body } = startRequest();
  assert.deepEqual(body, {
    process: { cmd: '/bin/bash', args: ['-l', '-c', 'echo'], envs: { A: '1' }, cwd: '/tmp' },
    stdin: false,
  });
  assert.equal(headers['connect-timeout-ms'], '5000');
  assert.equal(headers.authorization, `Basic ${Buffer.from('jürgen:').toString('base64')}`);
  assert.equal(headers['x-access-token'], 'agent-token');
  await sandbox.commands.run('echo', { timeoutMs: 0 });
  assert.equal(startRequest().headers['connect-timeout-ms'], undefined);
  await sandbox.commands.run('echo');
  assert.equal(startRequest().headers['connect-timeout-ms'], '60000');
});

test('another exit code than 0 is thrown with all that is known, in the background only by wait', async () => {
  server.on(START, stream([start, stdout('so far'), stderr('why'), end(12), endFrame]));
  const error = await failure(sandbox.commands.run('false'));
  assert(error instanceof CommandExitError);
  assert.deepEqual(
    [error.name, error.exitCode, error.message, error.error, error.stdout, error.stderr, error.code],
    ['CommandExitError', 12, 'exit status 12', 'exit status 12', 'so far', 'why', 'command_failed'],
  );
  const handle = await sandbox.commands.run('false', { background: true });
  assert.equal(handle.pid, 7);
  assert.deepEqual(await failure(handle.wait()), error);
  assert.equal(handle.exitCode, 12);
});

test('output that is cut anywhere, also inside a character, arrives whole and in order', async () => {
  const text = '\u{FEFF}aé€😀\n';
  const bytes = Buffer.from(text);
  for (let cut = 0; cut <= bytes.length; cut++) {
    const frames = Buffer.concat([
      start,
      stdout(bytes.subarray(0, cut)),
      stdout(bytes.subarray(cut)),
      end(0),
      endFrame,
    ]);
    server.on(START, (response) => {
      // The cut of the transport is another one than that of the output.
      const middle = 1 + ((cut * 37) % (frames.length - 1));
      response.writeHead(200, { 'content-type': 'application/connect+json' });
      response.write(frames.subarray(0, middle), () => setImmediate(() => response.end(frames.subarray(middle))));
    });
    const seen: string[] = [];
    const { stdout: whole } = await sandbox.commands.run('x', { onStdout: (data) => void seen.push(data) });
    assert.equal(whole, text);
    assert.equal(seen.join(''), text);
  }
});

test('bytes that never become a character are shown as replacement characters, not lost', async () => {
  server.on(START, stream([start, stdout(Buffer.from([0x61, 0xe2, 0x82])), end(0), endFrame]));
  const seen: string[] = [];
  const result = await sandbox.commands.run('x', { onStdout: (data) => void seen.push(data) });
  assert.equal(result.stdout, 'a\u{FFFD}');
  assert.equal(seen.join(''), result.stdout);
});

test('a listener that takes its time is waited for, and what it throws is what wait throws', async () => {
  server.on(START, stream([start, stdout('1'), stderr('2'), stdout('3'), end(0), endFrame]));
  const order: string[] = [];
  const slow = async (data: string): Promise<void> => {
    order.push(`${data} begins`);
    await delay(5);
    order.push(`${data} ends`);
  };
  await sandbox.commands.run('x', { onStdout: slow, onStderr: slow });
  assert.deepEqual(order, ['1 begins', '1 ends', '2 begins', '2 ends', '3 begins', '3 ends']);
  const own = new Error('of the listener');
  const broken = sandbox.commands.run('x', {
    onStdout: () => {
      throw own;
    },
  });
  await assert.rejects(broken, own);
});

test('keep-alives and events newer than this client are passed over', async () => {
  const newer = encodeFrame(0, { event: { paused: { since: 5 } } });
  server.on(START, stream([start, frame({ keepalive: {} }), newer, stdout('x'), end(0), endFrame]));
  assert.equal((await sandbox.commands.run('x')).stdout, 'x');
});

test('a stream that is cut at any byte is explained by the state of the sandbox', async () => {
  const whole = Buffer.concat([start, stdout('so far')]);
  for (const finish of ['cut', 'end'] as const) {
    for (const length of [0, 3, start.length, start.length + 2, start.length + 9, whole.length]) {
      server.on(START, stream([whole.subarray(0, length)], finish));
      server.on('GET /health', gone);
      const ended = await failure(sandbox.commands.run('x'));
      assert(ended instanceof TimeoutError, `${finish} at ${length}: ${ended}`);
      assert.match(ended.message, /killed or reached its end/);
      server.on('GET /health', healthy);
      const cut = await failure(sandbox.commands.run('x'));
      assert(cut instanceof SandboxError && !(cut instanceof TimeoutError), `${finish} at ${length}: ${cut}`);
      assert.equal(cut.code, 'connection_failed');
    }
  }
});

test('a cut after the end event takes nothing away', async () => {
  server.on(START, stream([start, stdout('all'), end(3)], 'cut'));
  const error = await failure(sandbox.commands.run('x'));
  assert(error instanceof CommandExitError);
  assert.deepEqual([error.exitCode, error.stdout], [3, 'all']);
});

test('output before a cut is kept on the handle', async () => {
  server.on('GET /health', healthy);
  server.on(START, stream([start, stdout('so far')], 'cut'));
  const handle = await sandbox.commands.run('x', { background: true });
  await assert.rejects(handle.wait(), SandboxError);
  assert.equal(handle.stdout, 'so far');
  assert.equal(handle.exitCode, undefined);
});

test('an error in the last frame is the class that programs catch', async () => {
  const cases: [string, abstract new (...args: never[]) => SandportError][] = [
    ['invalid_argument', InvalidArgumentError],
    ['unauthenticated', AuthenticationError],
    ['not_found', NotFoundError],
    ['deadline_exceeded', TimeoutError],
    ['unavailable', TimeoutError],
    ['internal', SandboxError],
  ];
  for (const [code, Class] of cases) {
    const last = encodeFrame(FLAG_END_STREAM, { error: { code, message: 'the reason' } });
    server.on(START, stream([last]));
    const error = await failure(sandbox.commands.run('x'));
    assert(error instanceof Class, `${code}: ${error.name}`);
    assert.match(error.message, /the reason/);
    server.on(START, stream([start, last]));
    assert((await failure(sandbox.commands.run('x'))) instanceof Class);
  }
});

test('answers of the gateway and plain ones are told apart by status', async () => {
  server.on(START, gone);
  const error = await failure(sandbox.commands.run('x'));
  assert(error instanceof SandboxNotFoundError);
  server.on(START, json(401, { code: 401, message: 'unauthorized access' }));
  assert((await failure(sandbox.commands.run('x'))) instanceof AuthenticationError);
  server.on(START, (response) => response.writeHead(500).end('<html>'));
  assert.match((await failure(sandbox.commands.run('x'))).message, /500/);
});

test('an agent that sends nonsense causes an error of ours, never another', async () => {
  const nonsense = [
    encodeFrame(0, null),
    encodeFrame(0, { event: null }),
    encodeFrame(0, { event: { start: {} } }),
    encodeFrame(FLAG_COMPRESSED, {}),
    encodeFrame(FLAG_END_STREAM, { error: 'oh' }),
    Uint8Array.of(0, 0, 0, 0, 2, 0x7b, 0x7b),
    Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1),
    encodeFrame(FLAG_END_STREAM, null),
    end(0),
  ];
  for (const bytes of nonsense) {
    server.on(START, stream([bytes], 'end'));
    await failure(sandbox.commands.run('x'));
  }
  for (const event of [
    { data: { stdout: '!' } },
    { data: { stdout: 5 } },
    { data: null },
    { end: { exitCode: '0' } },
  ]) {
    server.on(START, stream([start, encodeFrame(0, { event }), endFrame]));
    assert.match((await failure(sandbox.commands.run('x'))).message, /malformed/);
  }
});

test('a command that does not start in time is a TimeoutError, one that runs on is not', async () => {
  server.on(START, () => {});
  assert.match((await failure(sandbox.commands.run('x', { requestTimeoutMs: 50 }))).message, /requestTimeoutMs/);
  server.on(START, (response) => {
    stream([start], 'open')(response, server.seen.at(-1)!);
    setTimeout(() => response.end(Buffer.concat([end(0), endFrame])), 2000);
  });
  await sandbox.commands.run('x', { requestTimeoutMs: 1500 });
});

test('an agent that does not end a command in time is given up', async () => {
  server.on(START, stream([start], 'open'));
  const error = await failure(sandbox.commands.run('x', { timeoutMs: 1 }));
  assert(error instanceof TimeoutError);
  assert.match(error.message, /timeoutMs/);
});

test('disconnect ends the calls of listeners at once, and wait says so', async () => {
  const seen: string[] = [];
  server.on(START, stream([start, stdout('1'), stdout('2')], 'open'));
  const handle = await sandbox.commands.run('x', {
    background: true,
    onStdout: async (data) => {
      seen.push(data);
      await handle.disconnect();
    },
  });
  assert.match((await failure(handle.wait())).message, /disconnected/);
  assert.deepEqual(seen, ['1']);
});

test("a signal of the caller ends the stream with the caller's reason", async () => {
  const reason = new Error('enough');
  const controller = new AbortController();
  server.on(START, stream([start], 'open'));
  const handle = await sandbox.commands.run('x', { background: true, signal: controller.signal });
  controller.abort(reason);
  await assert.rejects(handle.wait(), reason);
  await assert.rejects(sandbox.commands.run('x', { signal: controller.signal }), reason);
});

test('commands one after the other share a connection, also when each stream ends a little after its command', async () => {
  server.on(START, (response, request) => {
    stream([start, end(0)], 'open')(response, request);
    setTimeout(() => response.write(endFrame), 5);
    setTimeout(() => response.end(), 10);
  });
  await sandbox.commands.run('x');
  const before = server.connections;
  for (let count = 0; count < 5; count++) {
    await delay(150);
    await sandbox.commands.run('x');
  }
  assert(server.connections - before <= 1, `${server.connections - before} new connections`);
});

test('list, kill, sendStdin and closeStdin have their wire form; kill is false for what is not there', async () => {
  server.on('POST /process.Process/List', json(200, {}));
  assert.deepEqual(await sandbox.commands.list(), []);
  server.on('POST /process.Process/List', json(200, { processes: [{ pid: 7, config: { cmd: '/bin/bash' } }] }));
  assert.deepEqual(await sandbox.commands.list(), [{ pid: 7, cmd: '/bin/bash', args: [], envs: {} }]);
  server.on('POST /process.Process/SendSignal', json(200, {}));
  assert.equal(await sandbox.commands.kill(7), true);
  assert.deepEqual(JSON.parse(`${server.seen.at(-1)!.body}`), { process: { pid: 7 }, signal: 'SIGNAL_SIGKILL' });
  server.on('POST /process.Process/SendSignal', json(404, { code: 'not_found', message: 'no such process' }));
  assert.equal(await sandbox.commands.kill(7), false);
  server.on('POST /process.Process/SendSignal', gone);
  assert((await failure(sandbox.commands.kill(7))) instanceof TimeoutError);
  server.on('POST /process.Process/SendInput', json(200, {}));
  await sandbox.commands.sendStdin(7, 'é\n');
  const stdin = Buffer.from('é\n').toString('base64');
  assert.deepEqual(JSON.parse(`${server.seen.at(-1)!.body}`), { process: { pid: 7 }, input: { stdin } });
  server.on('POST /process.Process/CloseStdin', json(200, {}));
  await sandbox.commands.closeStdin(7);
});

test('connect takes up a running command; none with this ID is a NotFoundError', async () => {
  server.on('POST /process.Process/Connect', stream([start, stdout('later'), end(0), endFrame]));
  const handle = await sandbox.commands.connect(7);
  assert.equal((await handle.wait()).stdout, 'later');
  const last = encodeFrame(FLAG_END_STREAM, { error: { code: 'not_found', message: 'no such process' } });
  server.on('POST /process.Process/Connect', stream([last]));
  assert((await failure(sandbox.commands.connect(8))) instanceof NotFoundError);
});

test('"await using" kills a command that still runs', async () => {
  server.on(START, stream([start], 'open'));
  server.on('POST /process.Process/SendSignal', json(200, {}));
  {
    await using _handle = await sandbox.commands.run('sleep', { background: true });
  }
  assert.equal(server.seen.at(-1)!.route, 'POST /process.Process/SendSignal');
});
