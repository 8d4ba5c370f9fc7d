import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { EndTimers } from './end-timers.ts';

const START = 1_800_000_000_000;
const DAY_MS = 86_400_000;

let ended: string[];
let timers: EndTimers;
beforeEach((context) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: START });
  ended = [];
  timers = new EndTimers({ now: Date.now, monotonicNow: Date.now, onEnd: (id) => void ended.push(id) });
  assert('after' in context);
  context.after(() => {
    timers.close();
    mock.timers.reset();
  });
});

test('a sandbox ends at its end time, once, and not before', () => {
  timers.set('a', START + 1000);
  mock.timers.tick(999);
  assert.deepEqual(ended, []);
  mock.timers.tick(1);
  assert.deepEqual(ended, ['a']);
  mock.timers.tick(DAY_MS);
  assert.deepEqual(ended, ['a']);
});

test('an end time that has passed ends the sandbox at the next turn, not inside the call', () => {
  timers.set('a', START - DAY_MS);
  assert.deepEqual(ended, []);
  mock.timers.tick(1);
  assert.deepEqual(ended, ['a']);
});

test('a moved end time replaces the one before, later or earlier', () => {
  timers.set('later', START + 1000);
  timers.set('later', START + 3000);
  timers.set('earlier', START + 3000);
  timers.set('earlier', START + 1000);
  mock.timers.tick(1000);
  assert.deepEqual(ended, ['earlier']);
  mock.timers.tick(2000);
  assert.deepEqual(ended, ['earlier', 'later']);
});

test('an end time beyond the longest timer of the platform is kept', () => {
  timers.set('far', START + 60 * DAY_MS);
  mock.timers.tick(24 * DAY_MS);
  mock.timers.tick(24 * DAY_MS);
  mock.timers.tick(12 * DAY_MS - 1);
  assert.deepEqual(ended, []);
  mock.timers.tick(1);
  assert.deepEqual(ended, ['far']);
});

test('a far end time is waited for by one timer, not by many that fire at once', async () => {
  mock.timers.reset();
  let looks = 0;
  const now = (): number => {
    looks++;
    return START;
  };
  const far = new EndTimers({ now: () => START, monotonicNow: now, onEnd: (id) => void ended.push(id) });
  far.set('far', START + 60 * DAY_MS);
  // Timers that were set before this one, for 1 ms, have fired when it does.
  await delay(20);
  far.close();
  assert.equal(looks, 2);
});

test('a timer that fires before the clock says so waits for the rest', () => {
  let now = 0;
  const slow = new EndTimers({ now: () => START, monotonicNow: () => now, onEnd: (id) => void ended.push(id) });
  slow.set('a', START + 1000);
  now = 900;
  mock.timers.tick(1000);
  assert.deepEqual(ended, []);
  now = 1000;
  mock.timers.tick(100);
  assert.deepEqual(ended, ['a']);
});

test('a jump of the wall clock neither ends a sandbox early nor keeps it', () => {
  for (const jump of [-DAY_MS, DAY_MS]) {
    let wall = START;
    let now = 0;
    ended = [];
    const jumping = new EndTimers({ now: () => wall, monotonicNow: () => now, onEnd: (id) => void ended.push(id) });
    jumping.set('a', START + 1000);
    wall += jump;
    now = 999;
    mock.timers.tick(999);
    assert.deepEqual(ended, []);
    now = 1000;
    mock.timers.tick(1);
    assert.deepEqual(ended, ['a']);
  }
});

test('a thousand sandboxes end in the order of their end times, each at its own', () => {
  for (let i = 0; i < 1000; i++) {
    const offset = 1 + ((i * 7919) % 1000);
    timers.set(`s${offset}`, START + offset);
  }
  for (let passed = 1; passed <= 1000; passed++) {
    mock.timers.tick(1);
    assert.equal(ended.length, passed);
    assert.equal(ended.at(-1), `s${passed}`);
  }
});

test('a cleared sandbox does not end, and clearing one that is not there is nothing', () => {
  timers.set('a', START + 1000);
  timers.set('b', START + 1000);
  timers.clear('a');
  timers.clear('none');
  mock.timers.tick(1000);
  assert.deepEqual(ended, ['b']);
});

test('after close nothing ends', () => {
  timers.set('a', START + 1000);
  timers.set('b', START + 60 * DAY_MS);
  timers.close();
  mock.timers.tick(61 * DAY_MS);
  assert.deepEqual(ended, []);
});
