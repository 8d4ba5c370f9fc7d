// docs/gateway.md has every option of the server that concerns the gateway, with its default.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Command } from 'commander';
import { addServerOptions, PUBLIC_URLS } from '../packages/cli/src/commands/server-options.ts';

const page = readFileSync(new URL('../docs/gateway.md', import.meta.url), 'utf8');
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('| `--'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, option = '', byDefault = '']) => ({ option: option.replaceAll('`', ''), byDefault }));
const { options } = addServerOptions(new Command());

test('every option of the gateway is on its page once, and none that is gone', () => {
  const expected = options.filter(({ helpGroupHeading }) => helpGroupHeading === PUBLIC_URLS).map(({ long }) => long!);
  assert(expected.length > 10);
  assert.deepEqual(rows.map(({ option }) => option).sort(), expected.sort());
});

test('the defaults are those that --help names', () => {
  for (const { long, description } of options) {
    const row = rows.find(({ option }) => option === long);
    const named = /\(default: (.+)\)$/.exec(description)?.[1];
    if (row !== undefined && named !== undefined) assert.equal(row.byDefault, named, long);
  }
});
