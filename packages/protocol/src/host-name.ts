// The form PORT-ID.DOMAIN of a public host name. The only place that knows it.

/** DNS limit of one label (RFC 1035, section 2.3.4). */
const MAX_LABEL = 63;
const MAX_PORT = 65535;
const SANDBOX_ID = /^[a-z0-9]{1,57}$/;
const PORT = /^[1-9][0-9]{0,4}$/;
/** The alphabet of DNS labels plus what separates them and a port from the rest. */
const HOST = /^([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?$/;

/** What a request's host names. */
export type HostName =
  | { readonly kind: 'sandbox'; readonly sandboxId: string; readonly port: number }
  /** The domain itself or one label below it that is no sandbox: `api`, `sandbox`, or '' for the domain. */
  | { readonly kind: 'service'; readonly label: string }
  /** `localhost` or an IP literal: names no sandbox; the stable-host headers may. */
  | { readonly kind: 'local' }
  | { readonly kind: 'invalid'; readonly reason: 'host' | 'sandbox-id' | 'sandbox-port' };

const INVALID_HOST = { kind: 'invalid', reason: 'host' } as const;
const LOCAL = { kind: 'local' } as const;

/** Whether `id` has the form of a sandbox ID. */
export function isSandboxId(id: string): boolean {
  return SANDBOX_ID.test(id);
}

/** Reads a port number written without sign, leading zeros or spaces; undefined for anything else. */
export function parsePort(text: string): number | undefined {
  if (!PORT.test(text)) return undefined;
  const port = Number(text);
  return port <= MAX_PORT ? port : undefined;
}

/**
 * Formats the public host name of one port of a sandbox.
 *
 * @param domain may carry the gateway's port (`box.test:8443`), which is kept
 * @throws RangeError on a port outside 1 to 65535 or a malformed ID
 */
export function formatHostName(port: number, sandboxId: string, domain: string): string {
  if (!Number.isInteger(port) || port < 1 || port > MAX_PORT) {
    throw new RangeError(`port ${port} is not a whole number from 1 to ${MAX_PORT}`);
  }
  if (!isSandboxId(sandboxId)) throw new RangeError(`"${sandboxId}" is not a sandbox ID`);
  return `${port}-${sandboxId}.${domain}`;
}

/**
 * Reads the value of a Host header (or `:authority`). Host names are compared without regard to case (RFC 4343); one
 * trailing dot and a port are allowed. The domain is any: a reverse proxy in front may have put its own.
 *
 * @param domain the gateway's own domain in lower case, which tells services from malformed sandbox names
 */
export function parseHostName(host: string, domain: string): HostName {
  const match = HOST.exec(host);
  if (match === null) return INVALID_HOST;
  if (match[2] !== undefined && Number(match[2]) > MAX_PORT) return INVALID_HOST;
  let name = match[1]!.toLowerCase();
  if (name.endsWith('.')) name = name.slice(0, -1);
  if (name === 'localhost' || name.startsWith('[') || isIPv4(name)) return LOCAL;
  if (name === domain) return { kind: 'service', label: '' };
  const dot = name.indexOf('.');
  if (dot < 1 || dot > MAX_LABEL || name.includes('..')) return INVALID_HOST;
  const label = name.slice(0, dot);
  const dash = label.indexOf('-');
  if (dash === -1) {
    return name.length === dot + 1 + domain.length && name.endsWith(domain)
      ? { kind: 'service', label }
      : label === 'sandbox'
        ? { kind: 'service', label }
        : INVALID_HOST;
  }
  const port = parsePort(label.slice(0, dash));
  if (port === undefined) return { kind: 'invalid', reason: 'sandbox-port' };
  // Older clients append a client ID as a third field, which names nothing here.
  const rest = label.slice(dash + 1);
  const next = rest.indexOf('-');
  const sandboxId = next === -1 ? rest : rest.slice(0, next);
  if (!isSandboxId(sandboxId)) return { kind: 'invalid', reason: 'sandbox-id' };
  return { kind: 'sandbox', sandboxId, port };
}

function isIPv4(name: string): boolean {
  return /^(?:[0-9]{1,3}\.){3}[0-9]{1,3}$/.test(name);
}
