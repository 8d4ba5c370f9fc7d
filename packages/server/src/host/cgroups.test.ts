// Groups of an instance go, also while tasks in them are still ending.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { isUnified, removeCgroups } from './cgroups.ts';

const HIERARCHY = isUnified() ? '/sys/fs/cgroup' : '/sys/fs/cgroup/pids';

test('a group is removed when its last task has ended', async () => {
  const parent = `/sandport-test-${randomBytes(4).toString('hex')}/instance`;
  const leaf = join(HIERARCHY, parent, 'leaf');
  mkdirSync(leaf, { recursive: true });
  const groups = [leaf, join(HIERARCHY, parent), join(HIERARCHY, dirname(parent))];
  const task = spawn('sleep', ['0.3'], { stdio: 'ignore' });
  const ended = once(task, 'close');
  try {
    writeFileSync(join(leaf, 'cgroup.procs'), String(task.pid));
    await removeCgroups(parent);
    assert.deepEqual(
      groups.filter((group) => existsSync(group)),
      [],
    );
  } finally {
    await ended;
    for (const group of groups.filter((group) => existsSync(group))) rmdirSync(group);
  }
});
