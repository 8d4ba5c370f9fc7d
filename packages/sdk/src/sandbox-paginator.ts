// The list of sandboxes, page by page.
import type { ListedSandbox } from '@sandport/protocol/api';
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';
import { SandboxError } from './errors.ts';
import { type SandboxInfo, type SandboxState, toInfo } from './sandbox-info.ts';

export interface SandboxListOptions extends ConnectionOptions {
  readonly query?: {
    /** Pairs that all have to match. */
    readonly metadata?: Readonly<Record<string, string>> | undefined;
    readonly state?: readonly SandboxState[] | undefined;
    readonly startedAfter?: Date | undefined;
    /** Template ID or alias. */
    readonly template?: string | undefined;
  };
  /** By start time. Default `desc`. */
  readonly order?: 'asc' | 'desc' | undefined;
  /** Sandboxes a page, 1 to 100. Default 100. */
  readonly limit?: number | undefined;
  readonly nextToken?: string | undefined;
}

export class SandboxPaginator {
  readonly #options: SandboxListOptions;
  #nextToken: string | undefined;
  #hasNext = true;

  constructor(options: SandboxListOptions = {}) {
    this.#options = options;
    this.#nextToken = options.nextToken;
  }

  /** Whether `nextItems` has more to fetch. */
  get hasNext(): boolean {
    return this.#hasNext;
  }

  get nextToken(): string | undefined {
    return this.#nextToken;
  }

  /**
   * The next page; a page that fails can be asked for again.
   *
   * @param options for this page alone, in place of those that the list was made with
   * @throws SandboxError when there is none
   */
  async nextItems(options: ConnectionOptions = {}): Promise<SandboxInfo[]> {
    if (!this.#hasNext) throw new SandboxError('there are no more items: look at hasNext first');
    const { data, headers } = await callApi<ListedSandbox[]>(
      { ...this.#options, ...options },
      'GET',
      `/v2/sandboxes?${this.#query()}`,
    );
    this.#nextToken = headers.get('x-next-token') || undefined;
    this.#hasNext = this.#nextToken !== undefined;
    return data.map(toInfo);
  }

  #query(): URLSearchParams {
    const { query = {}, order, limit } = this.#options;
    const parameters = new URLSearchParams();
    if (query.metadata !== undefined) parameters.set('metadata', metadataQuery(query.metadata));
    if (query.state !== undefined) parameters.set('state', query.state.join(','));
    if (query.startedAfter !== undefined) parameters.set('startedAfter', query.startedAfter.toISOString());
    if (query.template) parameters.set('template', query.template);
    if (order !== undefined) parameters.set('order', order);
    if (limit !== undefined) parameters.set('limit', String(limit));
    if (this.#nextToken !== undefined) parameters.set('nextToken', this.#nextToken);
    return parameters;
  }
}

/** A query string inside the query string, with each part encoded once more. */
function metadataQuery(metadata: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(metadata).map(([key, value]) => [encodeURIComponent(key), encodeURIComponent(value)]);
  return new URLSearchParams(pairs).toString();
}
