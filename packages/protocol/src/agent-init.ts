// What the host tells the agent (POST /init): before anything else runs in the sandbox, and again when it comes out of a
// snapshot, perhaps as another sandbox.

/**
 * Body of `POST /init`. The first caller sets `controlToken`; every later call has to present the one that was set
 * last in the header `X-Control-Token`, so that nothing inside the sandbox can call it again.
 */
export interface AgentInit {
  readonly controlToken: string;
  readonly sandboxId: string;
  readonly templateId: string;
  /** Which build of the template; shown to programs in `/.e2b`. */
  readonly buildId?: string;
  /** Required in `X-Access-Token` on all but the health route when present; absent on sandboxes that are not secure. */
  readonly accessToken?: string;
  /** What the gateway presents to have the agent dial a server on the sandbox's loopback; see loopback-tunnel.ts. */
  readonly tunnelToken?: string;
  /** Environment of every process, under what a single request adds. Replaces the earlier set. */
  readonly envVars: Readonly<Record<string, string>>;
  /** User of commands that name none. */
  readonly defaultUser: string;
  /** Directory of commands that name none; the user's home when absent. */
  readonly defaultWorkdir?: string;
  readonly hostname: string;
  /** `/etc/resolv.conf` nameserver addresses; written by the agent, so that the host follows no path of the sandbox. */
  readonly nameservers: readonly string[];
  /** PEM of the authority that programs of the sandbox are to trust besides their own; absent where there is none. */
  readonly egressAuthority?: string;
  /** Domain of the public URLs, with the gateway's port where it is not the scheme's own. */
  readonly domain: string;
  /** Which start of the sandbox this is; the same within one, another after every resume. */
  readonly generation?: string;
  /** Whether every process but the agent is ended first: memory was kept, and is to be forgotten. */
  readonly restart?: boolean;
  /** Wall clock of the host, milliseconds since 1970. */
  readonly now: number;
  /** Larger in every later call of one `generation`, whatever the wall clock does. Absent: `now` tells which is later. */
  readonly sequence?: number;
}
