// The list of sandboxes, page by page.
import type { ListedSandbox } from '@sandport/protocol/api';
import { type PageOptions, Paginator } from './paginator.ts';
import { type SandboxInfo, type SandboxState, toInfo } from './sandbox-info.ts';

export interface SandboxListOptions extends PageOptions {
  readonly query?: {
    /** Pairs that all have to match. */
    readonly metadata?: Readonly<Record<string, string>> | undefined;
    /** Default both. */
    readonly state?: readonly SandboxState[] | undefined;
    readonly startedAfter?: Date | undefined;
    /** Template ID or alias. */
    readonly template?: string | undefined;
  };
  /** By start time. Default `desc`. */
  readonly order?: 'asc' | 'desc' | undefined;
}

export class SandboxPaginator extends Paginator<SandboxInfo, ListedSandbox> {
  protected readonly path = '/v2/sandboxes';
  readonly #list: SandboxListOptions;

  constructor(options: SandboxListOptions = {}) {
    super(options);
    this.#list = options;
  }

  protected parameters(): URLSearchParams {
    const { query = {}, order } = this.#list;
    const parameters = new URLSearchParams();
    if (query.metadata !== undefined) parameters.set('metadata', metadataQuery(query.metadata));
    if (query.state !== undefined) parameters.set('state', query.state.join(','));
    if (query.startedAfter !== undefined) parameters.set('startedAfter', query.startedAfter.toISOString());
    if (query.template) parameters.set('template', query.template);
    if (order !== undefined) parameters.set('order', order);
    return parameters;
  }

  protected toItem(wire: ListedSandbox): SandboxInfo {
    return toInfo(wire);
  }
}

/** A query string inside the query string, with each part encoded once more. */
function metadataQuery(metadata: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(metadata).map(([key, value]) => [encodeURIComponent(key), encodeURIComponent(value)]);
  return new URLSearchParams(pairs).toString();
}
