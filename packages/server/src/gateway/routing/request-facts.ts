/** What routing and error answers need to know of a request, whatever version of HTTP it came in. */
export interface RequestFacts {
  /** Value of Host or `:authority`. */
  readonly host: string;
  readonly method: string;
  /** The target in origin-form, with its query. */
  path(): string;
  /** The first value of a header, by its name in lower case. */
  header(name: string): string | undefined;
  /** All values of a header, by its name in lower case. */
  values(name: string): string[];
}
