import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { test } from 'node:test';
import { readSettings } from '../settings.ts';
import { Complaint } from './check.ts';
import { FoundGood } from './found-good.ts';
import { systrapCheck } from './runtime-checks.ts';

test('gVisor runs a program once for all starts, for each look of doctor, and again for another gVisor', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sandport-checks-'));
  const path = process.env.PATH;
  const runs = join(directory, 'runs');
  const install = (exitCode: number): void => {
    const program = join(directory, 'runsc');
    writeFileSync(program, `#!/bin/sh\necho run >> '${runs}'\nexit ${exitCode}\n`);
    chmodSync(program, 0o755);
  };
  const settings = readSettings({ data: join(directory, 'data'), runtime: 'runsc' });
  const look = (again: boolean): Promise<string> =>
    systrapCheck(new FoundGood(join(directory, 'found'))).run(settings, again);
  const count = (): number => readFileSync(runs, 'utf8').match(/run/g)?.length ?? 0;
  process.env.PATH = [directory, path].join(delimiter);
  try {
    install(0);
    assert.match(await look(false), /runs a program/);
    assert.match(await look(false), /has run a program before/);
    assert.equal(count(), 1);
    assert.match(await look(true), /runs a program/);
    assert.equal(count(), 2);
    // One that does not work is not found good by what the one before did, and is looked at by each start.
    install(7);
    for (const runsBefore of [2, 3]) {
      assert.equal(count(), runsBefore);
      await assert.rejects(
        look(false),
        (error) => error instanceof Complaint && /does not run here/.test(error.message),
      );
    }
    install(0);
    assert.match(await look(false), /runs a program/);
    const runc = { ...settings, runtime: 'runc' as const };
    assert.match(await systrapCheck(new FoundGood(join(directory, 'found'))).run(runc, true), /not needed/);
    assert.equal(count(), 5);
  } finally {
    process.env.PATH = path;
    rmSync(directory, { recursive: true });
  }
});
