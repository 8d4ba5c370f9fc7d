// Checks the body of POST /init. The host sends it, yet until the first call anyone in reach could.
import { isIP } from 'node:net';
import type { AgentInit } from '@sandport/protocol/agent-init';

/** Goes into files one value a line, so it holds no line break. */
const LINE = /^[^\n\r\0]{0,1024}$/;
const HOSTNAME = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** @throws TypeError that names the field */
export function checkInit(value: unknown): AgentInit {
  if (typeof value !== 'object' || value === null) throw new TypeError('the body is not an object');
  const body = value as Record<string, unknown>;
  expect(
    typeof body.controlToken === 'string' && body.controlToken.length >= 16,
    'controlToken',
    'a string of at least 16 characters',
  );
  for (const name of ['sandboxId', 'templateId', 'defaultUser', 'domain'])
    expect(isLine(body[name]), name, 'one line of text');
  for (const name of ['buildId', 'accessToken', 'tunnelToken', 'defaultWorkdir', 'generation']) {
    expect(body[name] === undefined || (isLine(body[name]) && body[name] !== ''), name, 'one line of text or absent');
  }
  expect(typeof body.hostname === 'string' && HOSTNAME.test(body.hostname), 'hostname', 'a host name');
  expect(typeof body.now === 'number' && Number.isFinite(body.now), 'now', 'milliseconds since 1970');
  expect(
    body.sequence === undefined || (typeof body.sequence === 'number' && Number.isFinite(body.sequence)),
    'sequence',
    'a number or absent',
  );
  expect(body.restart === undefined || typeof body.restart === 'boolean', 'restart', 'a boolean or absent');
  expect(isNameservers(body.nameservers), 'nameservers', 'at most 3 IP addresses');
  expect(isEnvironment(body.envVars), 'envVars', 'an object of strings, without NUL characters or "=" in names');
  expect(
    body.egressAuthority === undefined || isPem(body.egressAuthority),
    'egressAuthority',
    'a certificate as PEM or absent',
  );
  return body as unknown as AgentInit;
}

function expect(condition: boolean, name: string, expected: string): void {
  if (!condition) throw new TypeError(`${name} is not ${expected}`);
}

function isLine(value: unknown): value is string {
  return typeof value === 'string' && LINE.test(value);
}

function isPem(value: unknown): boolean {
  return (
    typeof value === 'string' &&
    value.length <= 8192 &&
    /^-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----\n+$/.test(value)
  );
}

/** The C library reads no more than three (resolv.conf(5)). */
function isNameservers(value: unknown): boolean {
  return (
    Array.isArray(value) && value.length <= 3 && value.every((item) => typeof item === 'string' && isIP(item) !== 0)
  );
}

function isEnvironment(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  return Object.entries(value).every(
    ([name, text]) => typeof text === 'string' && !text.includes('\0') && name !== '' && !/[=\0]/.test(name),
  );
}
