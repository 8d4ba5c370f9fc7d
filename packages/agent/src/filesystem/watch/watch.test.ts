import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { appendFile, chmod, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import type { FilesystemEvent } from '@sandport/protocol/filesystem-rpc';
import type { StreamItem } from '../../testing/agent-client.ts';
import { startAgent, type TestAgent } from '../../testing/agent-process.ts';
import { until } from '../../testing/until.ts';

const SERVICE = 'filesystem.Filesystem';

let agent: TestAgent;
let directories = 0;
let watched: string;

before(async () => {
  agent = await startAgent();
});
after(() => agent[Symbol.asyncDispose]());
beforeEach(async () => {
  watched = join(agent.root, `watched-${++directories}`);
  await mkdir(watched);
});

/** A stream of events, collected as they come. */
class Watch implements AsyncDisposable {
  readonly events: FilesystemEvent[] = [];
  keepalives = 0;
  end: { code?: string; message?: string } | 'ok' | undefined;
  readonly #abort = new AbortController();
  readonly #reading: Promise<void>;

  private constructor(items: AsyncGenerator<StreamItem>, abort: AbortController) {
    this.#abort = abort;
    this.#reading = this.#read(items).catch(() => {});
  }

  static async start(request: object, headers: Record<string, string> = {}): Promise<Watch> {
    const abort = new AbortController();
    const items = agent.client.stream(`${SERVICE}/WatchDir`, request, { headers, signal: abort.signal });
    const { value } = await items.next();
    assert.deepEqual(value, { start: {} });
    return new Watch(items, abort);
  }

  async #read(items: AsyncGenerator<StreamItem>): Promise<void> {
    for await (const item of items as AsyncGenerator<Record<string, never>>) {
      const { filesystem, keepalive, endOfStream } = item as Record<string, unknown> as {
        filesystem?: FilesystemEvent;
        keepalive?: object;
        endOfStream?: { error?: { code: string; message: string } };
      };
      if (filesystem !== undefined) this.events.push(filesystem);
      if (keepalive !== undefined) this.keepalives++;
      if (endOfStream !== undefined) this.end = endOfStream.error ?? 'ok';
    }
  }

  get told(): string[] {
    return this.events.map(({ type, name }) => `${type.slice('EVENT_TYPE_'.length).toLowerCase()} ${name}`);
  }

  /** What is told up to and with this event. */
  async upTo(last: string): Promise<string[]> {
    return until(`"${last}" is told, not only ${this.told}`, () => {
      const at = this.told.indexOf(last);
      return at === -1 ? undefined : this.told.slice(0, at + 1);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#reading;
  }
}

/** How many instances of inotify the agent holds. */
function instances(): number {
  const links = readdirSync(`/proc/${agent.pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${agent.pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === 'anon_inode:inotify').length;
}

describe('a watch of one directory', () => {
  it('tells what happens in it, in order', async () => {
    await using watch = await Watch.start({ path: watched });
    await writeFile(join(watched, 'a'), '');
    await appendFile(join(watched, 'a'), 'x');
    await chmod(join(watched, 'a'), 0o600);
    await rename(join(watched, 'a'), join(watched, 'b'));
    await rm(join(watched, 'b'));
    assert.deepEqual(await watch.upTo('remove b'), [
      'create a',
      'write a',
      'chmod a',
      'rename a',
      'create b',
      'remove b',
    ]);
  });

  it('tells nothing of what lies deeper', async () => {
    await using watch = await Watch.start({ path: watched });
    await mkdir(join(watched, 'sub'));
    await writeFile(join(watched, 'sub', 'deep'), 'x');
    await writeFile(join(watched, 'last'), '');
    assert.deepEqual(await watch.upTo('create last'), ['create sub', 'create last']);
  });

  it('has entries when they are asked for, of what is left', async () => {
    await using watch = await Watch.start({ path: watched, includeEntry: true });
    await writeFile(join(watched, 'a'), 'four');
    await watch.upTo('write a');
    await rm(join(watched, 'a'));
    await watch.upTo('remove a');
    const write = watch.events.find(({ type }) => type === 'EVENT_TYPE_WRITE');
    assert.equal(write?.entry?.size, '4');
    assert.equal(write?.entry?.path, join(watched, 'a'));
    assert.equal(watch.events.at(-1)?.entry, undefined);
  });

  it('follows a link that it is given', async () => {
    const link = `${watched}-link`;
    await symlink(watched, link);
    await using watch = await Watch.start({ path: link });
    await mkdir(join(watched, 'new'));
    assert.deepEqual(await watch.upTo('create new'), ['create new']);
  });

  it('ends when the directory is removed', async () => {
    await using watch = await Watch.start({ path: watched });
    await rm(watched, { recursive: true });
    await until('the stream has ended', () => watch.end !== undefined);
    assert.equal(watch.end, 'ok');
    assert.equal(watch.told.at(-1), 'remove .');
  });

  it('is shared by several who watch the same', async () => {
    await using first = await Watch.start({ path: watched });
    const second = await Watch.start({ path: watched });
    await writeFile(join(watched, 'one'), '');
    await first.upTo('create one');
    await second.upTo('create one');
    await second[Symbol.asyncDispose]();
    await writeFile(join(watched, 'two'), '');
    await first.upTo('create two');
  });

  it('keeps silent streams alive, and ends at its deadline', async () => {
    await using watch = await Watch.start(
      { path: watched },
      { 'keepalive-ping-interval': '1', 'connect-timeout-ms': '2500' },
    );
    await until('the stream has ended', () => watch.end !== undefined);
    assert.equal((watch.end as { code: string }).code, 'deadline_exceeded');
    assert(watch.keepalives >= 1);
  });

  it('leaves nothing when its client goes away', async () => {
    const watch = await Watch.start({ path: watched });
    assert.equal(instances(), 1);
    await watch[Symbol.asyncDispose]();
    await until('the instance is closed', () => instances() === 0);
  });
});

describe('a watch of a tree', () => {
  it('tells what happens in directories that were there and in new ones', async () => {
    await mkdir(join(watched, 'old/inner'), { recursive: true });
    await using watch = await Watch.start({ path: watched, recursive: true });
    await writeFile(join(watched, 'old/inner/a'), '');
    await mkdir(join(watched, 'new'));
    await watch.upTo('create new');
    await writeFile(join(watched, 'new/b'), '');
    assert.deepEqual(await watch.upTo('create new/b'), ['create old/inner/a', 'create new', 'create new/b']);
  });

  it('misses nothing that is made in a directory before it is watched, and tells it once', async () => {
    await using watch = await Watch.start({ path: watched, recursive: true });
    const made: string[] = [];
    for (let i = 0; i < 40; i++) made.push(`d${i}`, `d${i}/e`, `d${i}/e/f`, `d${i}/e/f/file`);
    const script = `for i in $(seq 0 39); do mkdir -p d$i/e/f; : > d$i/e/f/file; done; mkdir last`;
    execFileSync('sh', ['-c', script], { cwd: watched });
    await watch.upTo('create last');
    // Names that were found stand after the event of their directory; the last directory's event may be before them.
    await until('all are told', () => made.every((name) => watch.told.includes(`create ${name}`)));
    const created = watch.told.filter((line) => line.startsWith('create '));
    assert.deepEqual(created.sort(), [...made, 'last'].map((name) => `create ${name}`).sort());
  });

  it('knows a directory by its new name after a move', async () => {
    await mkdir(join(watched, 'before/inner'), { recursive: true });
    await using watch = await Watch.start({ path: watched, recursive: true });
    await rename(join(watched, 'before'), join(watched, 'after'));
    await watch.upTo('create after');
    await writeFile(join(watched, 'after/inner/a'), '');
    assert.deepEqual(await watch.upTo('create after/inner/a'), [
      'rename before',
      'create after',
      'create after/inner/a',
    ]);
  });

  it('lets go of a directory that is moved out of it, also when another takes its name', async () => {
    const outside = `${watched}-outside`;
    await mkdir(join(watched, 'sub/inner'), { recursive: true });
    await using watch = await Watch.start({ path: watched, recursive: true });
    await rename(join(watched, 'sub'), outside);
    await mkdir(join(watched, 'sub'));
    await watch.upTo('create sub');
    await writeFile(join(outside, 'unseen'), '');
    await writeFile(join(outside, 'inner/unseen'), '');
    await writeFile(join(watched, 'sub/seen'), '');
    assert.deepEqual(await watch.upTo('create sub/seen'), ['rename sub', 'create sub', 'create sub/seen']);
  });

  it('does not enter links', async () => {
    const outside = `${watched}-outside`;
    await mkdir(outside);
    await symlink(outside, join(watched, 'link'));
    await using watch = await Watch.start({ path: watched, recursive: true });
    await writeFile(join(outside, 'unseen'), '');
    await writeFile(join(watched, 'seen'), '');
    assert.deepEqual(await watch.upTo('create seen'), ['create seen']);
  });

  it('goes on through a tree that is made and removed again and again', async () => {
    await using watch = await Watch.start({ path: watched, recursive: true });
    const script = 'for i in 1 2 3 4 5; do mkdir -p a/b/c; : > a/b/c/f; rm -r a; done; : > end';
    execFileSync('sh', ['-c', script], { cwd: watched });
    const told = await watch.upTo('create end');
    assert.equal(told.filter((line) => line === 'create a').length, 5);
    assert.equal(told.filter((line) => line === 'remove a').length, 5);
    assert.equal(watch.end, undefined);
  });
});

describe('a watcher that is asked for its events', () => {
  const unary = (method: string, request: object) => agent.client.unary(`${SERVICE}/${method}`, request);

  it('collects them between one time and the next', async () => {
    const { body } = await unary('CreateWatcher', { path: watched, recursive: true });
    assert.match(body.watcherId, /^w[a-z0-9]{20}$/);
    assert.deepEqual((await unary('GetWatcherEvents', body)).body, {});
    await writeFile(join(watched, 'a'), '');
    const events = await until('the event is there', async () => (await unary('GetWatcherEvents', body)).body.events);
    assert.deepEqual(events, [{ name: 'a', type: 'EVENT_TYPE_CREATE' }]);
    assert.deepEqual((await unary('GetWatcherEvents', body)).body, {});
    assert.deepEqual((await unary('RemoveWatcher', body)).body, {});
    assert.equal((await unary('GetWatcherEvents', body)).body.code, 'not_found');
    assert.equal((await unary('RemoveWatcher', body)).body.code, 'not_found');
    await until('nothing is watched', () => instances() === 0);
  });

  it('says once that events were lost, when nobody asks', async () => {
    const { body } = await unary('CreateWatcher', { path: watched });
    // The kernel joins equal events that follow each other, and keeps so and so many.
    const [one, other] = [join(watched, 'a'), join(watched, 'b')];
    for (let round = 0; round < 2700; round++) {
      for (const path of [one, other]) writeFileSync(path, '');
      for (const path of [one, other]) unlinkSync(path);
    }
    const lost = await until('it is told', async () => {
      const answer = (await unary('GetWatcherEvents', body)).body;
      return answer.code === undefined ? undefined : answer;
    });
    assert.equal(lost.code, 'resource_exhausted');
    await unary('RemoveWatcher', body);
  });
});

describe('what cannot be watched', () => {
  const refusal = async (request: object) => {
    const { body } = await agent.client.unary(`${SERVICE}/CreateWatcher`, request);
    return body.code;
  };

  it('is named', async () => {
    await writeFile(join(watched, 'file'), '');
    assert.equal(await refusal({ path: join(watched, 'none') }), 'not_found');
    assert.equal(await refusal({ path: join(watched, 'file') }), 'invalid_argument');
    assert.equal(await refusal({ path: watched, recursive: 'yes' }), 'invalid_argument');
    assert.equal(await refusal({ path: `${watched}\0` }), 'invalid_argument');
  });

  it('is what goes beyond a thousand watchers, and the agent is well afterwards', async () => {
    const ids: string[] = [];
    let code: string | undefined;
    while (code === undefined && ids.length < 10_000) {
      const { body } = await agent.client.unary(`${SERVICE}/CreateWatcher`, { path: watched });
      if (body.watcherId === undefined) code = body.code;
      else ids.push(body.watcherId);
    }
    assert.equal(code, 'resource_exhausted');
    assert.equal(ids.length, 1000);
    assert.equal((await agent.client.shell('echo well')).stdout, 'well\n');
    for (const watcherId of ids) await agent.client.unary(`${SERVICE}/RemoveWatcher`, { watcherId });
    await until('nothing is watched', () => instances() === 0);
  });
});
