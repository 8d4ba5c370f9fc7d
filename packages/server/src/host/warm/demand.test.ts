import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Demand } from './demand.ts';

let now: number;
let demand: Demand;

beforeEach(() => {
  now = 0;
  demand = new Demand({ least: 1, most: 5 }, () => now);
});

function ask(count: number, every = 0): void {
  for (let i = 0; i < count; i++) {
    demand.record();
    now += every;
  }
}

test('at rest the least are wanted', () => {
  assert.equal(demand.wanted, 1);
  assert.equal(demand.changesIn, undefined);
});

test('as many as came at once are wanted the next time', () => {
  ask(3);
  assert.equal(demand.wanted, 3);
});

test('many, one after the other, are not a burst', () => {
  ask(20, 2000);
  assert.equal(demand.wanted, 1);
  ask(20, 1000);
  assert.equal(demand.wanted, 2);
});

test('a smaller burst does not make a larger one forgotten', () => {
  ask(4);
  now += 30_000;
  ask(2);
  assert.equal(demand.wanted, 4);
});

test('a burst is forgotten after a minute', () => {
  ask(3);
  assert.equal(demand.changesIn, 60_000);
  now += 59_999;
  assert.equal(demand.wanted, 3);
  now += 1;
  assert.equal(demand.wanted, 1);
  assert.equal(demand.changesIn, undefined);
});

test('never are more wanted than the most', () => {
  ask(100);
  assert.equal(demand.wanted, 5);
});

test('with a most of none, none are wanted', () => {
  demand = new Demand({ least: 0, most: 0 }, () => now);
  ask(10);
  assert.equal(demand.wanted, 0);
});
