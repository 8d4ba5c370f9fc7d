import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WallClock } from './wall-clock.ts';

test('a jump of the wall clock is told once, before a time of after it is given out', () => {
  let [wall, boot] = [1_800_000_000_000, 1000];
  const jumps: [by: number, told: number][] = [];
  let given = 0;
  const clock = new WallClock({
    wallNow: () => wall,
    sinceBoot: () => boot,
    onJump: (by) => jumps.push([by, given]),
  });
  const look = (): number => {
    given = clock.now();
    return given;
  };
  assert.equal(look(), 1_800_000_000_000);
  const pass = (ms: number): void => {
    wall += ms;
    boot += ms;
  };
  pass(86_400_000);
  look();
  assert.equal(jumps.length, 0);
  wall += 3_600_000;
  assert.equal(look(), wall);
  look();
  assert.deepEqual(jumps, [[3_600_000, wall - 3_600_000]]);
  wall -= 7_200_000;
  look();
  assert.equal(jumps[1]![0], -7_200_000);
  // Many small ones are a large one.
  for (let count = 0; count < 4; count++) {
    wall += 200;
    look();
  }
  assert.deepEqual(
    jumps.slice(2).map(([by]) => by),
    [600],
  );
});

test('a jump that could not be taken note of is told again', () => {
  let wall = 1_800_000_000_000;
  const jumps: number[] = [];
  const clock = new WallClock({
    wallNow: () => wall,
    sinceBoot: () => 0,
    onJump: (by) => {
      // The time is asked for meanwhile, as by a log.
      clock.now();
      jumps.push(by);
      if (jumps.length === 1) throw new Error('the store is full');
    },
  });
  wall += 60_000;
  assert.equal(clock.now(), wall);
  clock.now();
  clock.now();
  assert.deepEqual(jumps, [60_000, 60_000]);
});
