import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { Semaphore } from './semaphore.ts';

interface Task {
  readonly finish: (error?: Error) => void;
  readonly result: Promise<string>;
}

function startTasks(semaphore: Semaphore, names: readonly string[], started: string[]): Map<string, Task> {
  const tasks = names.map((name): [string, Task] => {
    const gate = Promise.withResolvers<void>();
    const result = semaphore.run(async () => {
      started.push(name);
      await gate.promise;
      return name;
    });
    return [name, { result, finish: (error) => (error ? gate.reject(error) : gate.resolve()) }];
  });
  return new Map(tasks);
}

test('no more run at once than there are permits, and the others follow in order', async () => {
  const started: string[] = [];
  const tasks = startTasks(new Semaphore(2), ['a', 'b', 'c', 'd'], started);
  await turn();
  assert.deepEqual(started, ['a', 'b']);
  tasks.get('b')!.finish();
  assert.equal(await tasks.get('b')!.result, 'b');
  await turn();
  assert.deepEqual(started, ['a', 'b', 'c']);
  for (const { finish } of tasks.values()) finish();
  await Promise.all([...tasks.values()].map(({ result }) => result));
  assert.deepEqual(started, ['a', 'b', 'c', 'd']);
});

test('a task that fails gives its permit back and its error on', async () => {
  const started: string[] = [];
  const tasks = startTasks(new Semaphore(1), ['a', 'b'], started);
  const error = new Error('of the task');
  tasks.get('a')!.finish(error);
  await assert.rejects(tasks.get('a')!.result, error);
  tasks.get('b')!.finish();
  assert.equal(await tasks.get('b')!.result, 'b');
});

test('permits are neither lost nor made when many tasks come and go', async () => {
  const semaphore = new Semaphore(3);
  let running = 0;
  let most = 0;
  const task = async (): Promise<void> => {
    most = Math.max(most, ++running);
    await turn();
    running--;
  };
  for (let round = 0; round < 3; round++) {
    most = 0;
    await Promise.all(Array.from({ length: 20 }, () => semaphore.run(task)));
    assert.equal(most, 3);
    assert.equal(running, 0);
  }
});
