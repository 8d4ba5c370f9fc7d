// Requests to the REST API.
import type { ConnectionConfig } from './connection-config.ts';
import {
  AuthenticationError,
  InvalidArgumentError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  TemplateError,
} from './errors.ts';
import { request } from './request.ts';

export interface ApiAnswer<T> {
  readonly data: T;
  readonly headers: Headers;
}

interface ErrorAnswer {
  readonly code?: number;
  readonly message?: string;
  readonly error_code?: string;
}

/** Throws the error that an answer of the API stands for. */
export async function callApi<T>(
  config: ConnectionConfig,
  method: string,
  path: string,
  body?: unknown,
): Promise<ApiAnswer<T>> {
  const signal = config.requestSignal();
  const response = await request(`${config.apiUrl}${path}`, {
    method,
    headers: {
      ...config.headers,
      'X-API-Key': config.apiKey,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  const text = await response.text();
  if (!response.ok) throw apiError(response.status, text);
  return { data: (text === '' ? undefined : JSON.parse(text)) as T, headers: response.headers };
}

function apiError(statusCode: number, text: string): SandboxError {
  const answer = readError(text);
  const message = answer.message ?? `the API answered with status ${statusCode}`;
  if (statusCode === 401) return new AuthenticationError(message, { statusCode });
  if (statusCode === 429) return new RateLimitError(message, { statusCode });
  if (answer.error_code === 'sandbox_not_found') return new SandboxNotFoundError(message, { statusCode });
  if (answer.error_code === 'template_not_found') return new TemplateError(message, { statusCode });
  if (statusCode === 404) return new NotFoundError(message, { statusCode });
  if (statusCode === 400) return new InvalidArgumentError(message, { statusCode });
  return new SandboxError(`${statusCode}: ${message}`, { statusCode });
}

function readError(text: string): ErrorAnswer {
  try {
    return (JSON.parse(text) ?? {}) as ErrorAnswer;
  } catch {
    return {};
  }
}
