// Calls of the API that the client library has no method for.
import { type ErrorCode, errorTable } from '@sandport/protocol/errors';
import { SandportError } from 'sandport';
import { connect, type DataFlag } from './connection.ts';

interface ErrorAnswer {
  readonly message?: string;
  readonly error_code?: string;
}

/** Undefined for an answer without a body. Throws a SandportError with what the server says. */
export async function callApi(flags: DataFlag, method: string, path: string, body?: object): Promise<unknown> {
  const { apiUrl, apiKey } = await connect(flags);
  const response = await fetch(apiUrl + path, {
    method,
    headers: { 'X-API-Key': apiKey, ...(body !== undefined && { 'Content-Type': 'application/json' }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: unknown = text === '' ? undefined : JSON.parse(text);
  if (response.ok) return answer;
  const { message = `status ${response.status}`, error_code: code = '' } = (answer ?? {}) as ErrorAnswer;
  throw new SandportError(Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'bad_request', message);
}
