import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorTable } from '@sandport/protocol/errors';
import * as sandport from './index.ts';
import { CommandExitError, SandboxError, SandportError } from './index.ts';

type ErrorClass = new (message: string) => Error;

const classes = Object.entries(sandport as Record<string, unknown>).filter(
  (entry): entry is [string, ErrorClass] =>
    typeof entry[1] === 'function' && entry[1].prototype instanceof Error && entry[0] !== 'SandportError',
);

test('every error class that is exported has the one root, its own name, and a code of the table', () => {
  assert(classes.length >= 11, `${classes.map(([name]) => name)}`);
  for (const [name, Class] of classes) {
    const error =
      name === 'CommandExitError'
        ? new CommandExitError({ exitCode: 1, stdout: '', stderr: '' })
        : new Class('the message');
    assert(error instanceof SandportError, name);
    assert.equal(error.name, name);
    assert(Object.hasOwn(errorTable, error.code), `${name}: ${error.code}`);
    assert(error.hint.length > 0);
    assert.match(error.stack ?? '', new RegExp(name));
  }
});

test('all but what concerns no sandbox are a SandboxError, as programs written for e2b expect', () => {
  const outside = classes.filter(
    ([, Class]) => !(Class.prototype instanceof SandboxError) && Class !== (SandboxError as unknown),
  );
  assert.deepEqual(outside.map(([name]) => name).sort(), ['AuthenticationError', 'GitAuthError', 'ServiceBusyError']);
});
