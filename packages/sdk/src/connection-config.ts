// Where the server is and how to speak to it: from options, else from the environment.
import { AuthenticationError, InvalidArgumentError } from './errors.ts';

/** Options of everything that makes requests. */
export interface ConnectionOptions {
  /** API key. Default: `SANDPORT_API_KEY`, then `E2B_API_KEY`. */
  readonly apiKey?: string | undefined;
  /**
   * Domain of the server, with a port where its gateway is not on 443. Default: `SANDPORT_DOMAIN`, then `E2B_DOMAIN`,
   * then `sandport.localhost:8443`, where `npm start` listens.
   */
  readonly domain?: string | undefined;
  /** Base URL of the API. Default: `SANDPORT_API_URL`, then `E2B_API_URL`, then `https://api.DOMAIN`. */
  readonly apiUrl?: string | undefined;
  /** Base URL of the agent instead of the sandbox's own host name. Default: `SANDPORT_SANDBOX_URL`, then `E2B_SANDBOX_URL`. */
  readonly sandboxUrl?: string | undefined;
  /** How long a request may take, in milliseconds; of a command, until it has started. 0: no limit. Default 60 000. */
  readonly requestTimeoutMs?: number | undefined;
  /** Headers of every request, beside the client's own. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Headers of requests to the API only. */
  readonly apiHeaders?: Readonly<Record<string, string>> | undefined;
  /** Ends this one operation early, with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

export const DEFAULT_DOMAIN = 'sandport.localhost:8443';
const DEFAULT_REQUEST_TIMEOUT_MS = 60_000;
/** A longer timer would fire at once (setTimeout takes a signed 32-bit number of milliseconds, almost 25 days). */
export const MAX_TIMER_MS = 2 ** 31 - 1;

export class ConnectionConfig {
  readonly domain: string;
  readonly apiUrl: string;
  readonly sandboxUrl: string | undefined;
  readonly requestTimeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly apiHeaders: Readonly<Record<string, string>>;
  readonly #apiKey: string | undefined;

  /** Throws an InvalidArgumentError on a `requestTimeoutMs` that is none, or a URL that is none. */
  constructor(options: ConnectionOptions = {}) {
    // An empty string counts as absent, as an empty variable does.
    this.domain = options.domain || environment('DOMAIN') || DEFAULT_DOMAIN;
    this.apiUrl = baseUrl('apiUrl', options.apiUrl || environment('API_URL') || `https://api.${this.domain}`);
    const sandboxUrl = options.sandboxUrl || environment('SANDBOX_URL');
    this.sandboxUrl = sandboxUrl === undefined ? undefined : baseUrl('sandboxUrl', sandboxUrl);
    this.requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    checkMilliseconds('requestTimeoutMs', this.requestTimeoutMs);
    this.headers = options.headers ?? {};
    this.apiHeaders = options.apiHeaders ?? {};
    this.#apiKey = options.apiKey || environment('API_KEY');
  }

  /** Throws an AuthenticationError when there is none. */
  get apiKey(): string {
    if (this.#apiKey === undefined) {
      throw new AuthenticationError(
        'no API key: give the option apiKey or set SANDPORT_API_KEY ("sandport env" prints it)',
      );
    }
    return this.#apiKey;
  }

  /** Options of a single call on top of these. */
  with<Options extends ConnectionOptions>(options: Options): Options & ConnectionOptions {
    const { domain, apiUrl, sandboxUrl, requestTimeoutMs, headers, apiHeaders } = this;
    const given = Object.entries(options).filter(([, value]) => value !== undefined);
    const bound = { apiKey: this.#apiKey, domain, apiUrl, sandboxUrl, requestTimeoutMs, headers, apiHeaders };
    return { ...bound, ...(Object.fromEntries(given) as Options) };
  }

  /** Ends at the request's time limit or with the caller's signal. */
  requestSignal(
    requestTimeoutMs: number = this.requestTimeoutMs,
    signal?: AbortSignal | undefined,
  ): AbortSignal | undefined {
    checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
    const limited = requestTimeoutMs > 0 && requestTimeoutMs <= MAX_TIMER_MS;
    const limit = limited ? AbortSignal.timeout(Math.ceil(requestTimeoutMs)) : undefined;
    if (limit === undefined || signal === undefined) return limit ?? signal;
    return AbortSignal.any([limit, signal]);
  }
}

/** Throws an InvalidArgumentError on anything but a number of 0 or more. */
export function checkMilliseconds(name: string, value: number): void {
  if (!(Number.isFinite(value) && value >= 0)) {
    throw new InvalidArgumentError(`${name} is ${value}; expected milliseconds, 0 or more`);
  }
}

/** A variable of ours, else of `e2b`; undefined in a browser. */
function environment(name: string): string | undefined {
  const variables = typeof process === 'undefined' ? undefined : process.env;
  return variables?.[`SANDPORT_${name}`] || variables?.[`E2B_${name}`] || undefined;
}

function baseUrl(name: string, url: string): string {
  if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
    throw new InvalidArgumentError(`${name} is "${url}"; expected a URL such as https://api.example.com`);
  }
  return url.replace(/\/+$/, '');
}
