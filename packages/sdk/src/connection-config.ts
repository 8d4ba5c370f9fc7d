// Where the server is and how to speak to it: from options, else from the environment.
import { AuthenticationError, InvalidArgumentError } from './errors.ts';

/** Options of everything that makes requests. */
export interface ConnectionOptions {
  /** API key. Default: `SANDPORT_API_KEY`, then `E2B_API_KEY`. */
  readonly apiKey?: string;
  /**
   * Domain of the server, with a port where its gateway is not on 443. Default: `SANDPORT_DOMAIN`, then `E2B_DOMAIN`,
   * then `sandport.localhost:8443`, where `npm start` listens.
   */
  readonly domain?: string;
  /** Base URL of the API. Default: `SANDPORT_API_URL`, then `E2B_API_URL`, then `https://api.DOMAIN`. */
  readonly apiUrl?: string;
  /** Base URL of the agent instead of the sandbox's own host name. Default: `SANDPORT_SANDBOX_URL`, then `E2B_SANDBOX_URL`. */
  readonly sandboxUrl?: string;
  /** How long a request may take until its answer begins, in milliseconds; 0 for no limit. Default 60 000. */
  readonly requestTimeoutMs?: number;
  /** Headers of every request, beside the client's own. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends requests early. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_DOMAIN = 'sandport.localhost:8443';
const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;

export class ConnectionConfig {
  readonly domain: string;
  readonly apiUrl: string;
  readonly sandboxUrl: string | undefined;
  readonly requestTimeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
  readonly #apiKey: string | undefined;

  constructor(options: ConnectionOptions = {}) {
    this.domain = options.domain ?? environment('DOMAIN') ?? DEFAULT_DOMAIN;
    this.apiUrl = withoutSlash(options.apiUrl ?? environment('API_URL') ?? `https://api.${this.domain}`);
    const sandboxUrl = options.sandboxUrl ?? environment('SANDBOX_URL');
    this.sandboxUrl = sandboxUrl === undefined ? undefined : withoutSlash(sandboxUrl);
    this.requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    if (!(this.requestTimeoutMs >= 0)) {
      throw new InvalidArgumentError(
        `requestTimeoutMs is ${options.requestTimeoutMs}; expected milliseconds, 0 or more`,
      );
    }
    this.headers = options.headers ?? {};
    this.signal = options.signal;
    this.#apiKey = options.apiKey ?? environment('API_KEY');
  }

  /** Throws an AuthenticationError when there is none. */
  get apiKey(): string {
    if (this.#apiKey === undefined || this.#apiKey === '') {
      throw new AuthenticationError(
        'no API key: give the option apiKey or set SANDPORT_API_KEY ("sandport env" prints it)',
      );
    }
    return this.#apiKey;
  }

  /** Ends at the request's time limit or with the caller's signal. */
  requestSignal(requestTimeoutMs = this.requestTimeoutMs, signal = this.signal): AbortSignal | undefined {
    const limit = requestTimeoutMs > 0 ? AbortSignal.timeout(requestTimeoutMs) : undefined;
    if (limit === undefined || signal === undefined) return limit ?? signal;
    return AbortSignal.any([limit, signal]);
  }
}

/** A variable of ours or of `e2b`; undefined in a browser. */
function environment(name: string): string | undefined {
  const variables = typeof process === 'undefined' ? undefined : process.env;
  return variables?.[`SANDPORT_${name}`] || variables?.[`E2B_${name}`] || undefined;
}

function withoutSlash(url: string): string {
  return url.replace(/\/+$/, '');
}
