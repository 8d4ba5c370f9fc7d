// What a request that leaves something out gets, and where the system's files are.

export interface SandboxDefaults {
  readonly defaultUser: string;
  readonly defaultWorkdir: string | undefined;
  readonly environment: ReadonlyMap<string, string>;
  /** What stands before /etc. */
  readonly root: string;
}
