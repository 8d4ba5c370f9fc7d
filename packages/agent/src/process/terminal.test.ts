import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { EndEvent } from '@sandport/protocol/process-rpc';
import { type CallOptions, collect, type StreamItem, startedPid } from '../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../testing/agent-process.ts';
import { until } from '../testing/until.ts';

let agent: TestAgent;
before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());

/** A terminal whose output is read as it comes. */
class Screen {
  readonly pid: number;
  text = '';
  longest = 0;
  end: EndEvent | undefined;
  readonly closed: Promise<void>;

  private constructor(pid: number, items: AsyncGenerator<StreamItem>) {
    this.pid = pid;
    this.closed = this.#read(items);
  }

  static async open(process: object, message: object = {}, options?: CallOptions): Promise<Screen> {
    const size = { cols: 90, rows: 30 };
    const items = agent.client.start({ process, pty: { size }, ...message }, options);
    return new Screen(await startedPid(items), items);
  }

  static async connect(pid: number): Promise<Screen> {
    const items = agent.client.stream('Connect', { process: { pid } });
    return new Screen(await startedPid(items), items);
  }

  static shell(script: string, message: object = {}, options?: CallOptions): Promise<Screen> {
    return Screen.open({ cmd: '/bin/sh', args: ['-c', script] }, message, options);
  }

  async #read(items: AsyncGenerator<StreamItem>): Promise<void> {
    for await (const { event } of items) {
      if (event === undefined) continue;
      if ('end' in event) this.end = event.end;
      if (!('data' in event) || !('pty' in event.data)) continue;
      const bytes = Buffer.from(event.data.pty, 'base64');
      this.text += bytes.toString('latin1');
      this.longest = Math.max(this.longest, bytes.length);
    }
  }

  type(text: string | Buffer) {
    const input = { pty: Buffer.from(text).toString('base64') };
    return agent.client.unary('SendInput', { process: { pid: this.pid }, input });
  }

  resize(cols: number, rows: number) {
    return agent.client.unary('Update', { process: { pid: this.pid }, pty: { size: { cols, rows } } });
  }

  shows(part: string | RegExp): Promise<true> {
    return until(`the terminal shows ${part}`, () =>
      typeof part === 'string' ? this.text.includes(part) : part.test(this.text),
    );
  }
}

/** Terminals that the agent has open. */
function openTerminals(): number {
  const descriptors = `/proc/${agent.pid}/fd`;
  return readdirSync(descriptors).filter((name) => {
    try {
      return readlinkSync(`${descriptors}/${name}`).endsWith('/ptmx');
    } catch {
      return false;
    }
  }).length;
}

test('a program in a terminal has it as input, output and controlling terminal, with its size, as its user', async () => {
  const script = 'test -t 0 && test -t 1 && test -t 2 && stty size && id -u > /dev/tty; echo $TERM';
  const screen = await Screen.shell(script, {}, { user: 'user' });
  await screen.closed;
  assert.match(screen.text, /^30 90\r\n1000\r\nxterm-256color\r\n$/);
  assert.deepEqual(screen.end, { exited: true, status: 'exit status 0' });
});

test('the device belongs to the user of the program, and to nobody else', async () => {
  const screen = await Screen.shell('stat -c "%u %a" $(tty)', {}, { user: 'user' });
  await screen.closed;
  // Whether its group may write to it is the machine's choice.
  assert.match(screen.text, /^1000 6[02]0\r\n$/);
});

test('what is typed is read and echoed', async () => {
  const screen = await Screen.shell('read line; echo "got $line"; exit 4');
  assert.equal((await screen.type('hällo\r')).status, 200);
  await screen.closed;
  assert.equal(screen.end?.exitCode, 4);
  assert.match(Buffer.from(screen.text, 'latin1').toString(), /hällo\r\ngot hällo\r\n/);
});

test('a new size is seen by stty and told by SIGWINCH', async () => {
  const screen = await Screen.shell("trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done");
  await screen.shows('ready');
  assert.equal((await screen.resize(120, 40)).status, 200);
  await screen.shows('40 120');
  await agent.client.unary('SendSignal', { process: { pid: screen.pid }, signal: 'SIGNAL_SIGKILL' });
  await screen.closed;
  assert.equal(screen.end?.status, 'signal: killed');
});

test('an interactive shell has job control: Ctrl-C ends the job and not the shell, Ctrl-Z stops it', async () => {
  const screen = await Screen.open({ cmd: '/bin/bash', args: ['--norc', '-i'], envs: { PS1: '> ' } });
  await screen.shows('> ');
  assert.doesNotMatch(screen.text, /no job control/);
  await screen.type('sleep 1000; echo after=$?\r');
  await screen.shows('sleep 1000');
  await until('the job runs', () => foregroundOf(screen.pid) !== screen.pid);
  await screen.type('\x03');
  await until('the shell is back', () => foregroundOf(screen.pid) === screen.pid);
  await screen.type('echo state=$?\r');
  await screen.shows('state=130');
  await screen.type('sleep 1000\r');
  await until('the job runs', () => foregroundOf(screen.pid) !== screen.pid);
  await screen.type('\x1a');
  await screen.shows('Stopped');
  await screen.type('fg\r');
  await until('the job runs', () => foregroundOf(screen.pid) !== screen.pid);
  await screen.type('\x03');
  await until('the shell is back', () => foregroundOf(screen.pid) === screen.pid);
  await screen.type('exit 5\r');
  await screen.closed;
  assert.equal(screen.end?.exitCode, 5);
});

test('Ctrl-D ends the input of a program', async () => {
  const screen = await Screen.open({ cmd: 'cat' });
  await screen.type('line\r\x04');
  await screen.closed;
  assert.deepEqual(screen.end, { exited: true, status: 'exit status 0' });
});

test('a program that closes its terminal goes on, and ends as it chooses', async () => {
  const screen = await Screen.shell('echo shown; exec <&- >&- 2>&-; sleep 0.3; exit 3');
  await screen.closed;
  assert.match(screen.text, /^shown\r\n$/);
  assert.deepEqual(screen.end, { exitCode: 3, exited: true, status: 'exit status 3', error: 'exit status 3' });
});

test('all output arrives before the end, in pieces of at most 16 KiB, as it was written', async () => {
  const screen = await Screen.shell('stty raw; head -c 3000000 /dev/zero | tr "\\0" "\\377"');
  await screen.closed;
  assert.equal(screen.text.length, 3_000_000);
  assert.ok(/^\xff+$/.test(screen.text), 'bytes are handed on as they are');
  assert.ok(screen.longest <= 16 * 1024, `${screen.longest}`);
});

test('more is typed than a terminal holds, and all of it arrives when the program reads', async () => {
  const screen = await Screen.shell('stty raw -echo; echo ready; sleep 0.5; head -c 300000 | sha256sum');
  await screen.shows('ready');
  const bytes = Buffer.alloc(300_000, 'abcdefg');
  assert.equal((await screen.type(bytes)).status, 200);
  await screen.closed;
  assert.ok(screen.text.includes(createHash('sha256').update(bytes).digest('hex')), screen.text);
});

test('what was typed and never read is given up when the program ends', async () => {
  const screen = await Screen.shell('stty raw -echo; echo ready; exec sleep 1000');
  await screen.shows('ready');
  const typed = screen.type(Buffer.alloc(1_000_000, 'x'));
  const waits = await Promise.race([typed.then(() => false), delay(200, true)]);
  assert.equal(waits, true);
  await agent.client.unary('SendSignal', { process: { pid: screen.pid }, signal: 'SIGNAL_SIGKILL' });
  assert.equal((await typed).body.code, 'failed_precondition');
  await screen.closed;
});

test('several clients see the same terminal; when all are gone it goes on, and a later one finds it', async () => {
  const abort = new AbortController();
  const first = await Screen.shell('while read line; do echo "<$line>"; done', {}, { signal: abort.signal });
  const gone = assert.rejects(first.closed);
  const second = await Screen.connect(first.pid);
  await second.type('one\r');
  await Promise.all([first.shows('<one>'), second.shows('<one>')]);
  abort.abort();
  await gone;
  await second.type('two\r');
  await second.shows('<two>');
  const third = await Screen.connect(first.pid);
  await third.type('three\r');
  await third.shows('<three>');
  assert.doesNotMatch(third.text, /two/);
  await agent.client.unary('SendSignal', { process: { pid: first.pid }, signal: 'SIGNAL_SIGKILL' });
  await Promise.all([second.closed, third.closed]);
});

test('output that nobody sees is thrown away and does not stop the program', async () => {
  const abort = new AbortController();
  const marker = `${agent.root}/written`;
  const script = `read go; head -c 5000000 /dev/zero; echo > ${marker}; read end`;
  const screen = await Screen.shell(script, {}, { signal: abort.signal });
  abort.abort();
  await assert.rejects(screen.closed);
  await screen.type('\r');
  await until('it has written all', () => existsSync(marker));
  await screen.type('\r');
  await until('it has ended', () => !existsSync(`/proc/${screen.pid}`));
});

test('the end of the shell is the end of the terminal, also when a job still has it', async () => {
  await until('the agent has closed those of before', () => openTerminals() === 0);
  const screen = await Screen.shell('trap "" HUP; sleep 30 & echo $!; exit 3');
  await screen.closed;
  assert.equal(screen.end?.exitCode, 3);
  await until('the agent has closed its end', () => openTerminals() === 0);
  process.kill(Number(screen.text), 'SIGKILL');
});

test('input, size and end of input are refused where they mean nothing', async () => {
  const screen = await Screen.open({ cmd: 'sleep', args: ['1000'] });
  const { pid } = screen;
  const code = async (method: string, message: object) => (await agent.client.unary(method, message)).body.code;
  assert.equal(await code('SendInput', { process: { pid }, input: { stdin: btoa('x') } }), 'failed_precondition');
  assert.equal(await code('CloseStdin', { process: { pid } }), 'failed_precondition');
  assert.equal(
    await code('Update', { process: { pid }, pty: { size: { cols: 70_000, rows: 1 } } }),
    'invalid_argument',
  );
  assert.equal(await code('Update', { process: { pid } }), undefined);
  await agent.client.unary('SendSignal', { process: { pid }, signal: 'SIGNAL_SIGKILL' });
  await screen.closed;
  assert.equal(await code('Update', { process: { pid }, pty: { size: { cols: 1, rows: 1 } } }), 'not_found');
  const plain = agent.client.start({ process: { cmd: 'sleep', args: ['1000'] } });
  const other = await startedPid(plain);
  const pty = { size: { cols: 1, rows: 1 } };
  assert.equal(await code('Update', { process: { pid: other }, pty }), 'failed_precondition');
  await agent.client.unary('SendSignal', { process: { pid: other }, signal: 'SIGNAL_SIGKILL' });
  await collect(plain);
});

test('a missing program, directory or user opens no terminal', async () => {
  const before = openTerminals();
  const pty = { size: { cols: 80, rows: 24 } };
  const missing = await collect(agent.client.start({ process: { cmd: 'no-such-program' }, pty }));
  assert.equal(missing.end?.exitCode, 127);
  const nowhere = await collect(agent.client.start({ process: { cmd: 'sh', cwd: '/no/such' }, pty }));
  assert.equal(nowhere.error, 'invalid_argument');
  assert.equal(
    (await collect(agent.client.start({ process: { cmd: 'sh' }, pty }, { user: 'nobody-here' }))).error,
    'unauthenticated',
  );
  assert.equal(openTerminals(), before);
});

/** The process group that Ctrl-C goes to, of the terminal of a process. */
function foregroundOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')[5]);
}
