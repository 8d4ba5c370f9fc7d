// Requests to the REST API. None is sent twice: most of them change something.
import { apiError } from './api-errors.ts';
import { ConnectionConfig, type ConnectionOptions } from './connection-config.ts';
import { parseJson, readText, request } from './request.ts';

export interface ApiAnswer<T> {
  readonly data: T;
  readonly headers: Headers;
}

/** Throws the error that an answer of the API stands for, and what `request` throws. */
export async function callApi<T>(
  options: ConnectionOptions,
  method: string,
  path: string,
  body?: unknown,
): Promise<ApiAnswer<T>> {
  const config = new ConnectionConfig(options);
  const signal = config.requestSignal(config.requestTimeoutMs, options.signal ?? undefined);
  const response = await request(`${config.apiUrl}${path}`, {
    method,
    headers: {
      ...config.headers,
      ...config.apiHeaders,
      'X-API-Key': config.apiKey,
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
  const text = await readText(response, signal);
  if (!response.ok) throw apiError(path, response.status, text);
  const data = (text === '' ? undefined : parseJson<T>(text, response.status)) as T;
  return { data, headers: response.headers };
}
