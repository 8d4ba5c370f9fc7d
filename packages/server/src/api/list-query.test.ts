import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandportError } from '@sandport/protocol/errors';
import fc from 'fast-check';
import { KILL_AT_TIMEOUT } from '../sandboxes/lifecycle.ts';
import type { SandboxRecord } from '../sandboxes/sandbox-record.ts';
import { type ListQuery, listPage, listRunning } from './list-query.ts';

const START = Date.parse('2026-01-01T00:00:00Z');

function sandbox(id: string, startedAt = START, metadata: Record<string, string> = {}): SandboxRecord {
  return {
    id,
    state: 'running',
    generation: 'g',
    startedAt,
    createdAt: startedAt,
    endAt: startedAt + 300_000,
    spec: {
      templateId: 'template1',
      alias: 'base',
      metadata,
      envVars: {},
      secure: true,
      network: { allowPublicTraffic: true, allowOut: [], denyOut: [] },
      limits: { memoryMB: 1024, cpuCount: 2, diskSizeMB: 1024, processes: 100 },
      lifecycle: KILL_AT_TIMEOUT,
      defaults: { user: 'user', workdir: '/home/user', env: {} },
    },
    placement: undefined,
  };
}

function ids(all: readonly SandboxRecord[], query: ListQuery = {}): string[] {
  return listPage(all, query).items.map(({ id }) => id);
}

function allPages(all: () => readonly SandboxRecord[], query: ListQuery): string[][] {
  const pages: string[][] = [];
  for (let nextToken: string | undefined; ; ) {
    const page = listPage(all(), { ...query, ...(nextToken !== undefined && { nextToken }) });
    pages.push(page.items.map(({ id }) => id));
    assert(pages.length < 1000);
    nextToken = page.nextToken;
    if (nextToken === undefined) return pages;
  }
}

function metadataQuery(metadata: Record<string, string>): string {
  const pairs = Object.entries(metadata).map(([key, value]) => [encodeURIComponent(key), encodeURIComponent(value)]);
  return new URLSearchParams(pairs).toString();
}

test('the newest comes first, or the oldest when it is asked for; of the same time, by ID', () => {
  const all = [sandbox('b', START), sandbox('c', START + 1), sandbox('a', START)];
  assert.deepEqual(ids(all), ['c', 'b', 'a']);
  assert.deepEqual(ids(all, { order: 'desc' }), ['c', 'b', 'a']);
  assert.deepEqual(ids(all, { order: 'asc' }), ['a', 'b', 'c']);
});

test('the pages together are the whole list in order, each sandbox once, whatever the times and the size', () => {
  const id = fc.stringMatching(/^i[a-z0-9]{1,5}$/);
  const all = fc.uniqueArray(fc.tuple(id, fc.integer({ min: 0, max: 3 })), {
    selector: ([name]) => name,
    maxLength: 30,
  });
  fc.assert(
    fc.property(all, fc.integer({ min: 1, max: 7 }), fc.constantFrom('asc', 'desc'), (pairs, limit, order) => {
      const list = pairs.map(([name, late]) => sandbox(name, START + late));
      const pages = allPages(() => list, { limit: String(limit), order });
      assert.deepEqual(pages.flat(), ids(list, { order }));
      assert.equal(pages.flat().length, list.length);
      for (const page of pages.slice(0, -1)) assert.equal(page.length, limit);
    }),
  );
});

test('sandboxes that come and go between pages move no other to another page', () => {
  const numbers = Array.from({ length: 9 }, (_, index) => index);
  let list = numbers.map((number) => sandbox(`i${number}`, START + number));
  let asked = 0;
  const pages = allPages(
    () => {
      // The one on which the first page ended is gone, and a newer one has come.
      if (asked++ === 1) list = [...list.filter(({ id }) => id !== 'i6'), sandbox('new', START + 100)];
      return list;
    },
    { limit: '3' },
  );
  assert.deepEqual(pages, [
    ['i8', 'i7', 'i6'],
    ['i5', 'i4', 'i3'],
    ['i2', 'i1', 'i0'],
  ]);
});

test('whatever comes, goes, pauses and resumes between pages, what is there throughout is told exactly once', () => {
  const numbers = Array.from({ length: 20 }, (_, index) => index);
  const change = fc.record({ kind: fc.constantFrom('kill', 'create', 'pause', 'resume'), which: fc.nat(19) });
  const changes = fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 20 });
  fc.assert(
    fc.property(changes, fc.integer({ min: 1, max: 7 }), fc.constantFrom('asc', 'desc'), (turns, limit, order) => {
      let list = numbers.map((number) => sandbox(`i${number}`, START + number));
      const there = new Set(list.map(({ id }) => id));
      let [turn, clock] = [0, START + 1000];
      const pages = allPages(
        () => {
          for (const { kind, which } of turn === 0 ? [] : (turns[turn] ?? [])) {
            const id = `i${which}`;
            if (kind === 'create') list = [...list, sandbox(`new${clock}`, clock++)];
            else if (kind === 'kill') {
              list = list.filter((one) => one.id !== id);
              there.delete(id);
            } else {
              const state = kind === 'pause' ? 'paused' : 'running';
              list = list.map((one) => (one.id === id ? { ...one, state, startedAt: clock++ } : one));
            }
          }
          turn++;
          return list;
        },
        { limit: String(limit), order },
      );
      const told = pages.flat();
      assert.equal(new Set(told).size, told.length, 'none is told twice');
      for (const id of there) assert(told.includes(id), `${id} is missing`);
    }),
  );
});

test('a full last page names no further one, and without a limit a page has 100', () => {
  const list = Array.from({ length: 101 }, (_, index) => sandbox(`i${index}`, START + index));
  assert.equal(listPage(list.slice(1), {}).nextToken, undefined);
  const first = listPage(list, {});
  assert.equal(first.items.length, 100);
  assert.deepEqual(ids(list, { nextToken: first.nextToken! }), ['i0']);
});

test('the list without pages has all that run, the newest first', () => {
  const all = Array.from({ length: 250 }, (_, index) => sandbox(`i${index}`, START + index, { even: `${index % 2}` }));
  const paused = { ...sandbox('paused'), state: 'paused' } as SandboxRecord;
  const names = (from: SandboxRecord[]) => from.map(({ id }) => id);
  assert.deepEqual(names(listRunning([...all, paused], {})), names(all.toReversed()));
  assert.equal(listRunning([...all, paused], { metadata: 'even=0' }).length, 125);
});

test('a token that was not given out is a bad request, not a page', () => {
  const tokens = [
    '',
    'x',
    '!!!',
    Buffer.from('5__I1').toString('base64url'),
    Buffer.from('__i1').toString('base64url'),
  ];
  for (const nextToken of [...tokens, Buffer.from('-5__i1').toString('base64url'), 'A'.repeat(10_000)]) {
    assert.throws(() => listPage([sandbox('i1')], { nextToken }), { code: 'bad_request' }, nextToken);
  }
});

test('every pair of the metadata has to match, also with characters that are encoded twice', () => {
  const odd = { 'a&b': 'c=d é', '%25': '+ %' };
  const all = [sandbox('i1', START, odd), sandbox('i2', START, { 'a&b': 'c=d é' }), sandbox('i3')];
  assert.deepEqual(ids(all, { metadata: metadataQuery(odd) }), ['i1']);
  assert.deepEqual(ids(all, { metadata: metadataQuery({ 'a&b': 'c=d é' }), order: 'asc' }), ['i1', 'i2']);
  assert.deepEqual(ids(all, { metadata: metadataQuery({ 'a&b': 'other' }) }), []);
  assert.deepEqual(ids(all, { metadata: 'a=%25' }), []);
  assert.deepEqual(ids(all, { metadata: '__proto__=&constructor=' }), []);
  assert.equal(ids(all, { metadata: '' }).length, 3);
});

test('any metadata finds the sandbox that has it', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'grapheme', minLength: 1 }), fc.string({ unit: 'grapheme' })),
      (metadata) => {
        assert.deepEqual(ids([sandbox('i1', START, metadata)], { metadata: metadataQuery(metadata) }), ['i1']);
      },
    ),
  );
});

test('a template is found by its ID and by its alias', () => {
  assert.deepEqual(ids([sandbox('i1')], { template: 'template1' }), ['i1']);
  assert.deepEqual(ids([sandbox('i1')], { template: 'base' }), ['i1']);
  assert.deepEqual(ids([sandbox('i1')], { template: 'other' }), []);
});

test('only those started at a time or after it are listed, in any time zone', () => {
  const all = [sandbox('i1', START), sandbox('i2', START - 1)];
  assert.deepEqual(ids(all, { startedAfter: '2026-01-01T00:00:00Z' }), ['i1']);
  assert.deepEqual(ids(all, { startedAfter: '2026-01-01T02:00:00+02:00' }), ['i1']);
});

test('those in the states that are asked for are listed; on the way to a pause and back counts as paused', () => {
  const states = ['creating', 'running', 'pausing', 'paused', 'resuming', 'ending'] as const;
  const all = states.map((state) => ({ ...sandbox(`i${state}`), state }));
  const paused = ['ipaused', 'ipausing', 'iresuming'];
  const order = 'asc';
  assert.deepEqual(ids(all, { order, state: 'running' }), ['irunning']);
  assert.deepEqual(ids(all, { order, state: 'paused' }), paused);
  assert.deepEqual(ids(all, { order, state: ['paused'] }), paused);
  for (const state of ['running,paused', ['paused', 'running'], ''])
    assert.deepEqual(ids(all, { order, state }), [...paused, 'irunning']);
});

test('a parameter that cannot be right is refused by its name', () => {
  const bad: [keyof ListQuery, string][] = [
    ...['', '0', '101', '-1', '1.5', 'ten', '1e1', '0x5', '99999999'].map((limit): ['limit', string] => [
      'limit',
      limit,
    ]),
    ['order', 'ASC'],
    ['order', ''],
    ['state', 'dead'],
    ['state', 'running,'],
    ['startedAfter', 'yesterday'],
    ['startedAfter', ''],
    ['template', 'base:latest'],
  ];
  for (const [name, value] of bad) {
    assert.throws(
      () => listPage([sandbox('i1')], { [name]: value }),
      (error) => error instanceof SandportError && error.code === 'validation_failed' && error.message.includes(name),
      `${name}=${value}`,
    );
  }
});
