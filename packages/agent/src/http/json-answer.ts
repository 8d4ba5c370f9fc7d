// Answers of the plain HTTP routes: JSON, and errors as `{code, message}` with the status as the code.
import type { ServerResponse } from 'node:http';

export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.end(bytes);
}

export function answerError(response: ServerResponse, status: number, message: string): void {
  answerJson(response, status, { code: status, message });
}

export function answerEmpty(response: ServerResponse): void {
  response.writeHead(204).end();
}
