// A list that the API gives page by page.
import { callApi } from './api-client.ts';
import type { ConnectionOptions } from './connection-config.ts';
import { SandboxError } from './errors.ts';

export interface PageOptions extends ConnectionOptions {
  /** Items a page, 1 to 100. Default 100. */
  readonly limit?: number | undefined;
  readonly nextToken?: string | undefined;
}

export abstract class Paginator<Item, Wire> {
  readonly #options: PageOptions;
  #nextToken: string | undefined;
  #hasNext = true;

  constructor(options: PageOptions) {
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
  async nextItems(options: ConnectionOptions = {}): Promise<Item[]> {
    if (!this.#hasNext) throw new SandboxError('there are no more items: look at hasNext first');
    const { limit } = this.#options;
    const parameters = this.parameters();
    if (limit !== undefined) parameters.set('limit', String(limit));
    if (this.#nextToken !== undefined) parameters.set('nextToken', this.#nextToken);
    const { data, headers } = await callApi<Wire[]>(
      { ...this.#options, ...options },
      'GET',
      `${this.path}?${parameters}`,
    );
    this.#nextToken = headers.get('x-next-token') || undefined;
    this.#hasNext = this.#nextToken !== undefined;
    return data.map((item) => this.toItem(item));
  }

  protected abstract readonly path: string;
  /** The query without the page. */
  protected abstract parameters(): URLSearchParams;
  protected abstract toItem(wire: Wire): Item;
}
