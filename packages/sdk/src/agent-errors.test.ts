import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ConnectCode, connectCodes } from '@sandport/protocol/connect';
import { agentError, connectError } from './agent-errors.ts';
import {
  AuthenticationError,
  InvalidArgumentError,
  NotEnoughSpaceError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  type SandportError,
  TimeoutError,
} from './errors.ts';

type ErrorClass = abstract new (...args: never[]) => SandportError;

const byCode: Record<ConnectCode, ErrorClass> = {
  canceled: TimeoutError,
  unknown: SandboxError,
  invalid_argument: InvalidArgumentError,
  deadline_exceeded: TimeoutError,
  not_found: NotFoundError,
  already_exists: SandboxError,
  permission_denied: SandboxError,
  resource_exhausted: RateLimitError,
  failed_precondition: SandboxError,
  aborted: SandboxError,
  out_of_range: SandboxError,
  unimplemented: SandboxError,
  internal: SandboxError,
  unavailable: TimeoutError,
  data_loss: SandboxError,
  unauthenticated: AuthenticationError,
};

const byStatus: Record<number, ErrorClass> = {
  400: InvalidArgumentError,
  401: AuthenticationError,
  404: NotFoundError,
  429: RateLimitError,
  507: NotEnoughSpaceError,
};

test('every Connect code is its class, whatever the status, with message and status kept', () => {
  for (const [code, status] of Object.entries(connectCodes)) {
    const Class = byCode[code as ConnectCode];
    const error = agentError(status, JSON.stringify({ code, message: 'the reason' }), false);
    assert.equal(error.constructor, Class, code);
    assert.match(error.message, /the reason/);
    assert(error instanceof SandboxError || error instanceof AuthenticationError);
    assert.equal(error.statusCode, status);
    assert.equal(connectError({ code: code as ConnectCode, message: 'x' }).constructor, Class);
  }
});

test('every status without a Connect code is its class, whatever the body', () => {
  for (let status = 400; status < 600; status++) {
    if (status === 502) continue;
    for (const body of ['', 'null', '[]', '"x"', '{', '<html>', '{"code":"of no one"}', '{"code":5,"message":7}']) {
      const error = agentError(status, body, true);
      assert.equal(error.constructor, byStatus[status] ?? SandboxError, `${status} ${body}`);
      assert.match(error.message, new RegExp(`status ${status}`));
    }
    assert.match(agentError(status, '{"code":5,"message":"the reason"}', true).message, /the reason/);
  }
});

test('a sandbox that is gone is not found by what starts, and has timed out for what was under way', () => {
  const body = JSON.stringify({ sandboxId: 'i1', message: 'The sandbox was not found', code: 502 });
  const started = agentError(502, body, true);
  const under = agentError(502, body, false);
  assert.equal(started.constructor, SandboxNotFoundError);
  assert.equal(under.constructor, TimeoutError);
  assert.deepEqual([started.code, under.code], ['sandbox_not_found', 'sandbox_not_found']);
});

test('what every object inherits is no Connect code', () => {
  for (const code of ['constructor', 'toString', '__proto__']) {
    assert.equal(agentError(500, JSON.stringify({ code, message: 'x' }), false).constructor, SandboxError);
  }
});
