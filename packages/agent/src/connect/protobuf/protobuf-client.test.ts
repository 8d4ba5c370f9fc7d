// A client of the Connect project itself, speaking protobuf to a running agent.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { DescService } from '@bufbuild/protobuf';
import { type Client, Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-web';
import { e2bDescriptors } from '@sandport/protocol/testing/e2b-descriptors';
import { startAgent, type TestAgent } from '../../testing/agent-process.ts';
import { until } from '../../testing/until.ts';

type Methods = Record<string, (request: object) => unknown>;

let agent: TestAgent;
let process: Methods;
let filesystem: Methods;

before(async () => {
  agent = await startAgent();
  const transport = createConnectTransport({ baseUrl: agent.url, useBinaryFormat: true });
  const client = (name: string): Methods => {
    const service: DescService = e2bDescriptors().get(name)!.services[0]!;
    const typed: Client<DescService> = createClient(service, transport);
    return typed as unknown as Methods;
  };
  process = client('process');
  filesystem = client('filesystem');
});
after(() => agent[Symbol.asyncDispose]());

interface Event {
  readonly event: { readonly event: { readonly case: string; readonly value: Record<string, unknown> } };
}

/** What a command's stream tells, with its output joined. */
async function run(request: object) {
  const told: string[] = [];
  const output: Buffer[] = [];
  let last: Record<string, unknown> = {};
  for await (const { event } of process.start!(request) as AsyncIterable<Event>) {
    const { case: kind, value } = event.event;
    if (told.at(-1) !== kind) told.push(kind);
    if (kind === 'data') output.push(Buffer.from((value.output as { value: Uint8Array }).value));
    last = value;
  }
  return { told, output: Buffer.concat(output), last };
}

test('a command runs, and its output of any bytes and its exit come back', async () => {
  const { told, output, last } = await run({
    process: { cmd: '/bin/sh', args: ['-c', 'printf "\\377\\000$A"; exit 3'], envs: { A: 'ünï' }, cwd: agent.root },
    stdin: false,
  });
  assert.deepEqual(told, ['start', 'data', 'end']);
  assert.deepEqual(output, Buffer.concat([Buffer.from([0xff, 0]), Buffer.from('ünï')]));
  assert.deepEqual([last.exitCode, last.exited, last.status, last.error], [3, true, 'exit status 3', 'exit status 3']);
});

test('a command is listed, fed, signalled and found dead', async () => {
  const events = (process.start!({ process: { cmd: 'cat' }, tag: 'fed' }) as AsyncIterable<Event>)[
    Symbol.asyncIterator
  ]();
  const first = await events.next();
  const pid = first.value.event.event.value.pid as number;
  const { processes } = (await process.list!({})) as {
    processes: { pid: number; tag: string; config: { cmd: string } }[];
  };
  assert.deepEqual(
    processes.map((each) => [each.pid, each.tag, each.config.cmd]),
    [[pid, 'fed', 'cat']],
  );
  const selector = { selector: { case: 'tag', value: 'fed' } };
  await process.sendInput!({ process: selector, input: { input: { case: 'stdin', value: Buffer.from('bytes') } } });
  const { value: echoed } = await events.next();
  assert.equal(Buffer.from(echoed.event.event.value.output.value).toString(), 'bytes');
  await process.sendSignal!({ process: { selector: { case: 'pid', value: pid } }, signal: 15 });
  const { value: end } = await events.next();
  assert.deepEqual([end.event.event.value.exitCode, end.event.event.value.status], [-1, 'signal: terminated']);
  assert.equal((await events.next()).done, true);
  const gone = await Promise.resolve(process.sendSignal!({ process: selector, signal: 9 })).catch((error) => error);
  assert.ok(gone instanceof ConnectError);
  assert.equal(gone.code, Code.NotFound);
});

test('entries of a directory come with size, time and owner', async () => {
  await filesystem.makeDir!({ path: `${agent.root}/made` });
  const { entries } = (await filesystem.listDir!({ path: agent.root, depth: 1 })) as {
    entries: Record<string, unknown>[];
  };
  const made = entries.find(({ name }) => name === 'made')!;
  assert.deepEqual([made.type, made.permissions, made.owner], [2, 'drwxr-xr-x', 'root']);
  assert.equal(typeof made.size, 'bigint');
  const { seconds } = made.modifiedTime as { seconds: bigint };
  assert.ok(Math.abs(Number(seconds) - Date.now() / 1000) < 600);
  const missing = await Promise.resolve(filesystem.stat!({ path: '/no/such' })).catch((error) => error);
  assert.ok(missing instanceof ConnectError);
  assert.equal(missing.code, Code.NotFound);
});

test('a directory is watched, by a stream and by asking', async () => {
  const watched = { path: agent.home, includeEntry: true };
  const events = (filesystem.watchDir!(watched) as AsyncIterable<Watched>)[Symbol.asyncIterator]();
  assert.equal((await events.next()).value.event.case, 'start');
  const { watcherId } = (await filesystem.createWatcher!(watched)) as { watcherId: string };
  await filesystem.makeDir!({ path: `${agent.home}/made` });
  const { value: first } = await events.next();
  assert.equal(first.event.case, 'filesystem');
  assert.deepEqual(seen(first.event.value), ['made', 1, `${agent.home}/made`]);
  await events.return?.();
  const asked = await until('the watcher has it', async () => {
    const answer = (await filesystem.getWatcherEvents!({ watcherId })) as { events: WatchedEvent[] };
    return answer.events[0];
  });
  assert.deepEqual(seen(asked), ['made', 1, `${agent.home}/made`]);
  await filesystem.removeWatcher!({ watcherId });
});

interface WatchedEvent {
  readonly name: string;
  readonly type: number;
  readonly entry?: { readonly path: string };
}

interface Watched {
  readonly event: { readonly case: string; readonly value: WatchedEvent };
}

function seen({ name, type, entry }: WatchedEvent) {
  return [name, type, entry?.path];
}
