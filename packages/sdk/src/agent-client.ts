// Requests to a sandbox's agent: Connect (connectrpc.com/docs/protocol) with JSON, unary and server streams.
import { encodeFrame, STREAM_CONTENT_TYPE, UNARY_CONTENT_TYPE } from '@sandport/protocol/connect';
import { agentError, GONE_STATUS } from './agent-errors.ts';
import { toBase64 } from './base64.ts';
import { SandboxError, SandportError, TimeoutError } from './errors.ts';
import { readMessages } from './message-stream.ts';
import { parseJson, request, requestFailure } from './request.ts';

/** The agent says that it is alive this often on a quiet stream, so that nothing between takes it for dead. */
const KEEPALIVE_SECONDS = 50;
const HEALTH_MS = 5000;

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

  /**
   * A request that is no Connect call. Returns when the head of the answer is there.
   *
   * @param path such as `/files?path=...`
   * @throws what the answer says when its status is 400 or more
   */
  async plain(path: string, init: RequestInit): Promise<Response> {
    const headers = { ...this.#address.headers, ...Object.fromEntries(new Headers(init.headers)) };
    const response = await request(`${this.#address.baseUrl}${path}`, { ...init, headers });
    if (response.ok) return response;
    throw agentError(response.status, await this.uncut(response.text(), init.signal ?? undefined), false);
  }

  async unary<Request, Response>(method: string, message: Request, options: AgentCallOptions = {}): Promise<Response> {
    const response = await this.#post(method, UNARY_CONTENT_TYPE, JSON.stringify(message), options);
    const text = await this.uncut(response.text(), options.signal);
    if (!response.ok) throw agentError(response.status, text, false);
    return parseJson<Response>(text, response.status);
  }

  /**
   * The messages of a server stream, as they arrive. Ends when the stream does; throws what ended it early. Returning
   * before its end closes the connection, from which the agent learns that nobody listens; what runs goes on.
   */
  async *stream<Request, Message>(
    method: string,
    message: Request,
    options: AgentCallOptions = {},
  ): AsyncGenerator<Message> {
    const headers = { 'Keepalive-Ping-Interval': String(KEEPALIVE_SECONDS) };
    const response = await this.#post(method, STREAM_CONTENT_TYPE, encodeFrame(0, message), options, headers);
    if (!response.ok || response.body === null) {
      throw agentError(response.status, await this.uncut(response.text(), options.signal), true);
    }
    yield* readMessages<Message>(response.body, (error) => this.#explainCut(error, options.signal));
  }

  /** Awaits more of an answer's body; the error says why there is no more. */
  async uncut<Piece>(piece: Promise<Piece>, signal: AbortSignal | undefined): Promise<Piece> {
    try {
      return await piece;
    } catch (error) {
      throw await this.#explainCut(error, signal);
    }
  }

  async #post(
    method: string,
    contentType: string,
    body: string | Uint8Array,
    { user, signal, timeoutMs }: AgentCallOptions,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return request(`${this.#address.baseUrl}/${method}`, {
      method: 'POST',
      headers: {
        ...this.#address.headers,
        ...headers,
        'Content-Type': contentType,
        'Connect-Protocol-Version': '1',
        ...(user !== undefined && { Authorization: `Basic ${toBase64(`${user}:`)}` }),
        ...(timeoutMs && { 'Connect-Timeout-Ms': String(Math.ceil(timeoutMs)) }),
      },
      body: body as BodyInit,
      ...(signal && { signal }),
    });
  }

  /** Why an answer was cut: by the caller, by the end of the sandbox, or by something between. */
  async #explainCut(error: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    if (error instanceof SandportError) return error;
    if (signal?.aborted) return requestFailure(error, signal, 'aborted');
    const alive = await this.isHealthy(AbortSignal.timeout(HEALTH_MS)).catch(() => undefined);
    if (alive === false) {
      const message = 'the sandbox was killed or reached its end while it was answering';
      return new TimeoutError(message, { code: 'sandbox_not_found', cause: error });
    }
    return requestFailure(error, undefined, 'the connection to the sandbox was cut');
  }
}
