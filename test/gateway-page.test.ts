// docs/gateway.md has every option of the server that concerns the gateway, with its default.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Command } from 'commander';
import { addServerOptions } from '../packages/cli/src/commands/server-options.ts';

/** Of the sandboxes and what they reach, not of their URLs. */
const elsewhere = [
  '--data',
  '--nameserver',
  '--permit',
  '--webhook-permit',
  '--egress-connections',
  '--egress-bandwidth',
  '--runtime',
  '--max-sandboxes',
  '--warm',
  '--memory',
  '--cpus',
  '--disk',
];

const page = readFileSync(new URL('../docs/gateway.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `--'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, option = '', byDefault = '']) => ({ option: option.replaceAll('`', ''), byDefault }));
const { options } = addServerOptions(new Command());

test('every option of the gateway is on its page once, and none that is gone', () => {
  const expected = options.map(({ long }) => long!).filter((long) => !elsewhere.includes(long));
  assert.deepEqual(rows.map(({ option }) => option).sort(), expected.sort());
});

test('the defaults are those that --help names', () => {
  for (const { long, description } of options) {
    const row = rows.find(({ option }) => option === long);
    const named = /\(default: (.+)\)$/.exec(description)?.[1];
    if (row !== undefined && named !== undefined) assert.equal(row.byDefault, named, long);
  }
});
