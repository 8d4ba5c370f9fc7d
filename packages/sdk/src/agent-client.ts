// Requests to a sandbox's agent: Connect (connectrpc.com/docs/protocol) with JSON, unary and server streams.
import {
  type ConnectErrorBody,
  type EndOfStream,
  encodeFrame,
  FLAG_END_STREAM,
  FrameReader,
  STREAM_CONTENT_TYPE,
  UNARY_CONTENT_TYPE,
} from '@sandport/protocol/connect';
import {
  AuthenticationError,
  InvalidArgumentError,
  NotFoundError,
  RateLimitError,
  SandboxError,
  SandboxNotFoundError,
  TimeoutError,
} from './errors.ts';
import { request, requestFailure } from './request.ts';

/** More than the agent ever puts into one message. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** The agent says that it is alive this often on a quiet stream, so that nothing between takes it for dead. */
const KEEPALIVE_SECONDS = 50;
const HEALTH_MS = 5000;
const GONE_STATUS = 502;

export interface AgentAddress {
  /** Without a slash at the end. */
  readonly baseUrl: string;
  /** `X-Access-Token`, the routing headers and the caller's own. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface AgentCallOptions {
  /** User of the sandbox on whose behalf the call is made; the template's own when absent. */
  readonly user?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Life of what is started, in milliseconds; absent or 0 means no limit. */
  readonly timeoutMs?: number | undefined;
}

export class AgentClient {
  readonly #address: AgentAddress;

  constructor(address: AgentAddress) {
    this.#address = address;
  }

  /** Whether the sandbox runs. Throws a SandboxError when that cannot be told. */
  async isHealthy(signal?: AbortSignal): Promise<boolean> {
    const response = await request(`${this.#address.baseUrl}/health`, {
      headers: this.#address.headers,
      ...(signal && { signal }),
    });
    await response.body?.cancel();
    if (response.status === GONE_STATUS) return false;
    if (response.ok) return true;
    throw new SandboxError(`the agent's health is unknown: status ${response.status}`, { statusCode: response.status });
  }

  async unary<Request, Response>(method: string, message: Request, options: AgentCallOptions = {}): Promise<Response> {
    const response = await this.#post(method, UNARY_CONTENT_TYPE, JSON.stringify(message), options);
    const text = await response.text();
    if (!response.ok) throw agentError(response.status, text);
    return JSON.parse(text) as Response;
  }

  /** The messages of a server stream, as they arrive. Ends when the stream does; throws what ended it early. */
  async *stream<Request, Message>(
    method: string,
    message: Request,
    options: AgentCallOptions = {},
  ): AsyncGenerator<Message> {
    const response = await this.#post(method, STREAM_CONTENT_TYPE, encodeFrame(0, message), {
      ...options,
      keepalive: true,
    });
    if (!response.ok || response.body === null) throw agentError(response.status, await response.text());
    const frames = new FrameReader(MAX_MESSAGE);
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read().catch((error: unknown) => this.#interrupted(error, options.signal));
        if (done) return await this.#interrupted(new Error('the stream ended early'), options.signal);
        for (const { flags, payload } of frames.push(value)) {
          const text = new TextDecoder().decode(payload);
          if ((flags & FLAG_END_STREAM) === 0) {
            yield JSON.parse(text) as Message;
            continue;
          }
          const { error } = JSON.parse(text) as EndOfStream;
          if (error !== undefined) throw connectError(error);
          return;
        }
      }
    } finally {
      // The agent learns that nobody listens any more; what runs goes on.
      reader.cancel().catch(() => {});
    }
  }

  async #post(
    method: string,
    contentType: string,
    body: string | Uint8Array,
    options: AgentCallOptions & { keepalive?: boolean },
  ): Promise<Response> {
    const { user, signal, timeoutMs, keepalive } = options;
    return request(`${this.#address.baseUrl}/${method}`, {
      method: 'POST',
      headers: {
        ...this.#address.headers,
        'Content-Type': contentType,
        'Connect-Protocol-Version': '1',
        ...(user !== undefined && { Authorization: `Basic ${btoa(`${user}:`)}` }),
        ...(timeoutMs && { 'Connect-Timeout-Ms': String(Math.ceil(timeoutMs)) }),
        ...(keepalive && { 'Keepalive-Ping-Interval': String(KEEPALIVE_SECONDS) }),
      },
      body: body as BodyInit,
      ...(signal && { signal }),
    });
  }

  /** A stream that was cut: by the caller, by the end of the sandbox, or by something between. */
  async #interrupted(error: unknown, signal: AbortSignal | undefined): Promise<never> {
    if (signal?.aborted) throw requestFailure(error, signal);
    const alive = await this.isHealthy(AbortSignal.timeout(HEALTH_MS)).catch(() => undefined);
    if (alive === false) {
      throw new TimeoutError('the sandbox was killed or reached its end while the command ran', { cause: error });
    }
    throw new SandboxError('the connection to the sandbox was cut', { code: 'connection_failed', cause: error });
  }
}

/** Answers that are no Connect errors come from the gateway: {code: number, message}. */
function agentError(statusCode: number, text: string): SandboxError {
  try {
    const body = JSON.parse(text) as { code?: string | number; message?: string };
    if (typeof body.code === 'string') return connectError(body as ConnectErrorBody, statusCode);
    const message = body.message ?? text;
    if (statusCode === GONE_STATUS)
      return new SandboxNotFoundError(`${message}: it was killed or reached its end`, { statusCode });
    if (statusCode === 401) return new AuthenticationError(message, { statusCode });
    return new SandboxError(`${statusCode}: ${message}`, { statusCode });
  } catch {
    return new SandboxError(`the agent answered with status ${statusCode}`, { statusCode });
  }
}

function connectError({ code, message }: ConnectErrorBody, statusCode?: number): SandboxError {
  const options = statusCode === undefined ? {} : { statusCode };
  switch (code) {
    case 'invalid_argument':
      return new InvalidArgumentError(message, options);
    case 'unauthenticated':
      return new AuthenticationError(message, options);
    case 'not_found':
      return new NotFoundError(message, options);
    case 'resource_exhausted':
      return new RateLimitError(message, options);
    case 'deadline_exceeded':
      return new TimeoutError(`the command took longer than timeoutMs: ${message}`, options);
    case 'unavailable':
    case 'canceled':
      return new TimeoutError(message, options);
    default:
      return new SandboxError(`${code}: ${message}`, options);
  }
}
