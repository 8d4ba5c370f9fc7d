// The one table of errors. API, gateway, agent, SDK and docs/errors.md all read it; a test keeps the page in step.

interface ErrorEntry {
  /** HTTP status of the answer, repeated as the number `code` in its JSON body. */
  readonly status: number;
  /** What the reader can do about it. */
  readonly hint: string;
}

export const errorTable = {
  // Requests to the API
  bad_request: { status: 400, hint: 'Compare the request with the API reference.' },
  invalid_json: { status: 400, hint: 'Send a JSON body with Content-Type: application/json.' },
  validation_failed: { status: 400, hint: 'The message names the field and what it expects.' },
  invalid_sandbox_id: { status: 400, hint: 'A sandbox ID is lower-case letters and digits, as create returned it.' },
  invalid_timeout: { status: 400, hint: 'Give the timeout in whole seconds, greater than 0.' },
  invalid_network_rule: {
    status: 400,
    hint: 'Give addresses, CIDR ranges such as 198.51.100.0/24 or, in allowOut, names such as *.example.com.',
  },
  port_is_public: { status: 400, hint: 'A public port needs no signed URL: everyone may use its plain one.' },
  not_supported: { status: 400, hint: 'This server does not offer it; leave the option out.' },
  unauthorized: { status: 401, hint: 'Send a valid key in X-API-Key; "sandport env" prints the one of this machine.' },
  forbidden: { status: 403, hint: 'Use the key of the machine itself; "sandport env" prints it.' },
  sandbox_not_found: { status: 404, hint: 'The sandbox was killed or reached its end time.' },
  template_not_found: { status: 404, hint: 'Use the template "base", or build this one first.' },
  snapshot_not_found: { status: 404, hint: 'The snapshot was deleted, or never was.' },
  key_not_found: { status: 404, hint: 'The API key was revoked, or never was.' },
  webhook_not_found: { status: 404, hint: 'The webhook was deleted, or never was.' },
  route_not_found: { status: 404, hint: 'Compare method and path with the API reference.' },
  method_not_allowed: { status: 405, hint: 'Compare method and path with the API reference.' },
  sandbox_state_conflict: { status: 409, hint: 'Wait until the running operation has ended.' },
  body_too_large: { status: 413, hint: 'Send a smaller body.' },
  unsupported_media_type: { status: 415, hint: 'Send a JSON body with Content-Type: application/json.' },
  too_many_sandboxes: { status: 429, hint: 'Kill sandboxes that are no longer needed, or raise the limit.' },
  too_many_snapshots: { status: 429, hint: 'Delete snapshots that are no longer needed, or raise the limit.' },
  too_many_webhooks: { status: 429, hint: 'Delete webhooks that are no longer needed.' },
  internal_error: { status: 500, hint: 'The server log has the details under the request ID.' },
  sandbox_create_failed: { status: 500, hint: 'The server log has the details; "sandport doctor" checks the machine.' },
  sandbox_pause_failed: { status: 500, hint: 'The sandbox runs on; the server log has the details.' },
  sandbox_resume_failed: { status: 500, hint: 'The sandbox stays paused; the server log has the details.' },
  snapshot_failed: { status: 500, hint: 'The sandbox runs on; the server log has the details.' },
  snapshot_unusable: { status: 500, hint: 'The message names what the snapshot was made with and is not there.' },
  capacity_exhausted: { status: 503, hint: 'The machine is full; kill sandboxes or try again later.' },
  shutting_down: { status: 503, hint: 'The server is stopping; try again when it is back.' },

  // Requests to a public URL
  invalid_host: { status: 400, hint: 'A host name is PORT-ID.DOMAIN, such as 3000-i62mff4ahtrdfdkyn2esc.example.com.' },
  invalid_sandbox_port: { status: 400, hint: 'A port is a number from 1 to 65535 without leading zeros.' },
  missing_routing_header: { status: 400, hint: 'Send E2b-Sandbox-Id and E2b-Sandbox-Port together.' },
  malformed_request: { status: 400, hint: 'The request is not valid HTTP/1.1 (RFC 9112).' },
  traffic_token_missing: {
    status: 403,
    hint: "Send the sandbox's trafficAccessToken in the header e2b-traffic-access-token.",
  },
  traffic_token_invalid: { status: 403, hint: 'Use the trafficAccessToken that create returned.' },
  signed_url_invalid: { status: 403, hint: 'Ask whoever sent you the URL for a new one: it ended or was revoked.' },
  wake_denied: {
    status: 403,
    hint: 'The sandbox is paused: send its envdAccessToken in the header X-Access-Token to wake it.',
  },
  reserved_path: { status: 404, hint: 'This path belongs to the control plane.' },
  request_timeout: { status: 408, hint: 'Send the whole request head in time.' },
  url_sandbox_transitioning: { status: 409, hint: 'The sandbox is being paused or resumed; try again in a moment.' },
  url_too_many_sandboxes: { status: 429, hint: 'The paused sandbox can be woken when another one has ended.' },
  too_many_connections: { status: 429, hint: 'Close idle connections to this sandbox.' },
  too_many_client_connections: { status: 429, hint: 'Close connections from this address, or reuse them.' },
  too_many_requests: { status: 429, hint: 'Send fewer requests a second to this sandbox.' },
  header_too_large: { status: 431, hint: 'Send fewer or shorter headers.' },
  uri_too_long: { status: 414, hint: 'Shorten the request target.' },
  not_implemented: { status: 501, hint: 'The gateway does not forward this kind of request.' },
  url_sandbox_not_found: { status: 502, hint: 'The sandbox was killed, reached its end time, or never was.' },
  url_wake_failed: { status: 502, hint: 'The paused sandbox could not be resumed; the server log has the details.' },
  url_sandbox_paused: {
    status: 502,
    hint: 'The sandbox is paused, and its URL does not wake it: connect to it first.',
  },
  port_closed: { status: 502, hint: 'Start a server on this port inside the sandbox.' },
  upstream_failed: { status: 502, hint: 'The server inside the sandbox broke the connection or did not speak HTTP.' },
  url_machine_full: { status: 503, hint: 'The paused sandbox can be woken when the machine has room again.' },
  sandbox_waking: { status: 503, hint: 'The paused sandbox is being resumed; try again in a moment.' },
  api_unavailable: { status: 503, hint: 'The API is starting or stopping; try again in a moment.' },

  // In the client; status 0 where no answer was received
  invalid_argument: { status: 400, hint: 'The message names the argument and what it expects.' },
  file_not_found: { status: 404, hint: 'Compare the path with what is in the sandbox.' },
  rate_limited: { status: 429, hint: 'Send fewer requests, or try again later.' },
  not_enough_space: { status: 507, hint: 'Remove files in the sandbox.' },
  timed_out: { status: 0, hint: 'Give a longer timeoutMs or requestTimeoutMs, or see whether the sandbox still runs.' },
  command_failed: { status: 0, hint: 'The error has exitCode, stdout and stderr of the command.' },
  connection_failed: {
    status: 0,
    hint: 'See that Sandport runs, that its name resolves and that its certificate is trusted.',
  },
  client_error: { status: 0, hint: 'The message has what the server answered.' },

  // Set-up and the machine
  machine_not_ready: { status: 500, hint: '"sandport doctor" says what is missing and how to mend it.' },
  runtime_failed: { status: 500, hint: "The runtime's own log has the details." },
  agent_unreachable: { status: 500, hint: 'The agent inside the sandbox did not answer in time.' },
} as const satisfies Record<string, ErrorEntry>;

/** A stable name of a kind of failure. */
export type ErrorCode = keyof typeof errorTable;

/** The body of every error answer: the clients branch on the number in it, not only on the HTTP status. */
export interface ErrorBody {
  readonly code: number;
  readonly message: string;
  readonly error_code: ErrorCode;
}

/** Root of every error that Sandport throws or answers. */
export class SandportError extends Error {
  override name = 'SandportError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get hint(): string {
    return errorTable[this.code].hint;
  }

  toBody(): ErrorBody {
    return { code: this.status, message: this.message, error_code: this.code };
  }
}
