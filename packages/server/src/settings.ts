// What can be set when Sandport starts, with the defaults, validated once.
import { isIP, isIPv4 } from 'node:net';
import { availableParallelism, networkInterfaces, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { SandportError } from '@sandport/protocol/errors';
import {
  type ClientLimits,
  defaultClientLimits,
  defaultTrafficLimits,
  type ListenAddress,
  type TrafficLimits,
} from '@sandport/protocol/routes';
import { disjointRanges } from './egress/address-ranges.ts';
import type { EgressLimits } from './host/host.ts';
import { sandportHome } from './host/image/installation.ts';
import type { ResourceLimits, RuntimeName } from './host/runtime/runtime.ts';
import type { CertificateFiles } from './tls/certificate-files.ts';

export interface ServerOptions {
  /** Directory of everything that has to survive. Default: `default` under `/var/lib/sandport`. */
  readonly data?: string | undefined;
  /** `HOST:PORT` addresses of the gateway; HTTPS and HTTP on the same port. */
  readonly listen?: readonly string[] | undefined;
  /** Domain of the public URLs. Default `sandport.localhost`. */
  readonly domain?: string | undefined;
  /** Nameservers that sandboxes' questions are passed on to. Default: those of the machine. */
  readonly nameservers?: readonly string[] | undefined;
  /** Private IPv4 ranges that sandboxes may reach all the same. Default none. */
  readonly permit?: readonly string[] | undefined;
  /** Private IPv4 ranges, also of this machine, that webhooks may lead to. Default none. */
  readonly webhookPermit?: readonly string[] | undefined;
  /** Connections to the outside that a sandbox may have at once. Default: no limit. */
  readonly egressConnections?: number | undefined;
  /** Megabits a second of a sandbox, in each direction. Default: no limit. */
  readonly egressBandwidthMbit?: number | undefined;
  /** Default `runsc`. */
  readonly runtime?: string | undefined;
  /** Gateway workers. Default: one a processor, at most 4. */
  readonly gateways?: number | undefined;
  /** Connections to one sandbox; 0: no limit. Default 8192. */
  readonly connectionsPerSandbox?: number | undefined;
  /** Connections from one address; 0: no limit. Default 4096. */
  readonly connectionsPerClient?: number | undefined;
  /** Requests a second to one sandbox; 0: no limit, which is the default. */
  readonly requestsPerSecond?: number | undefined;
  /** MiB of the body of a request to a public URL; 0: no limit, which is the default. */
  readonly maxBodyMB?: number | undefined;
  /** KiB of a request's or an answer's head on public URLs, 4 to 128. Default 64. */
  readonly maxHeaderKB?: number | undefined;
  /** Header lines of a request or an answer, 20 to 1000. Default 200. */
  readonly maxHeaderLines?: number | undefined;
  /** Seconds in which a request's head has to come whole. Default 30. */
  readonly headerTimeoutSeconds?: number | undefined;
  /** Seconds without a request, after which a client's connection is ended. Default 620. */
  readonly idleTimeoutSeconds?: number | undefined;
  /** Whether every answer of the gateways is logged in `logs/access.log`. Default false. */
  readonly accessLog?: boolean | undefined;
  /** PEM file with the certificate for the domain and all names below it, instead of one by an authority of our own. */
  readonly tlsCert?: string | undefined;
  /** PEM file with its key. */
  readonly tlsKey?: string | undefined;
  /** Whether requests without TLS are sent to HTTPS. Default: unless the domain is a loopback one. */
  readonly httpsRedirect?: boolean | undefined;
  /** Addresses and CIDR ranges of proxies in front that may say who their clients are. Default: none. */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Sandboxes alive at once. Default 1000. */
  readonly maxSandboxes?: number | undefined;
  /** Snapshots kept at once, beside those of paused sandboxes. Default 1000. */
  readonly maxSnapshots?: number | undefined;
  /** The most sandboxes kept started ahead of demand. Default: 4 a processor, in a twentieth of the memory. */
  readonly warm?: number | undefined;
  /** Memory of a sandbox, in MiB. Default 1024. */
  readonly memoryMB?: number | undefined;
  /** Processors of a sandbox. Default 2. */
  readonly cpuCount?: number | undefined;
  /** Disk of a sandbox, in MiB. Default 10 240. */
  readonly diskSizeMB?: number | undefined;
}

export interface Settings {
  readonly data: string;
  readonly listen: readonly ListenAddress[];
  readonly domain: string;
  /** Undefined: those of the machine. */
  readonly nameservers: readonly string[] | undefined;
  /** Private ranges that sandboxes may reach all the same, disjoint. */
  readonly permittedRanges: readonly string[];
  /** Private ranges that webhooks may lead to, disjoint. */
  readonly webhookRanges: readonly string[];
  readonly egressLimits: EgressLimits;
  readonly runtime: RuntimeName;
  readonly gateways: number;
  readonly traffic: TrafficLimits;
  readonly clients: ClientLimits;
  readonly accessLog: boolean;
  /** Absolute paths; undefined for a certificate of the own authority. */
  readonly tls: CertificateFiles | undefined;
  readonly redirectToHttps: boolean;
  readonly trustedProxies: readonly string[];
  readonly maxSandboxes: number;
  readonly maxSnapshots: number;
  readonly warm: number;
  readonly limits: ResourceLimits;
}

export const DEFAULT_DOMAIN = 'sandport.localhost';
export const DEFAULT_PORT = 8443;

const DEFAULT_LIMITS: ResourceLimits = { memoryMB: 1024, cpuCount: 2, diskSizeMB: 10_240, processes: 4096 };
const MAX_COUNT = 1_000_000;
const LABEL = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
/** `65535-` and an ID of 21 characters and a dot go before the domain in 253 characters (RFC 1035, section 2.3.4). */
const MAX_DOMAIN = 253 - 64;

export function defaultDataDirectory(): string {
  return process.env.SANDPORT_DATA ?? join(sandportHome(), 'default');
}

/** Throws `validation_failed` with the option, its value and what is expected. */
export function readSettings(options: ServerOptions): Settings {
  const domain = (options.domain ?? DEFAULT_DOMAIN).toLowerCase().replace(/\.$/, '');
  const labels = domain.split('.');
  if (
    labels.length < 2 ||
    domain.length > MAX_DOMAIN ||
    !labels.every((label) => LABEL.test(label)) ||
    isIP(domain) !== 0
  ) {
    throw invalid('--domain', options.domain, 'a domain of two labels or more, such as box.example.com');
  }
  const runtime = options.runtime ?? 'runsc';
  if (runtime !== 'runsc' && runtime !== 'runc') throw invalid('--runtime', runtime, '"runsc" or "runc"');
  const listen = options.listen?.length ? options.listen.map(readListen) : defaultListen(domain);
  if (new Set(listen.map(({ port }) => port)).size > 2)
    throw invalid('--listen', options.listen?.join(' '), 'two ports at most');
  return {
    data: resolve(options.data ?? defaultDataDirectory()),
    listen,
    domain,
    nameservers: options.nameservers?.length ? options.nameservers.map(readNameserver) : undefined,
    egressLimits: {
      connections: readLimit('--egress-connections', options.egressConnections, 1_000_000),
      bandwidthMbit: readLimit('--egress-bandwidth', options.egressBandwidthMbit, 100_000),
    },
    permittedRanges: disjointRanges((options.permit ?? []).map((text) => readRange('--permit', text))),
    webhookRanges: disjointRanges((options.webhookPermit ?? []).map((text) => readRange('--webhook-permit', text))),
    runtime,
    gateways: readCount('--gateways', options.gateways, Math.min(4, availableParallelism()), 64),
    accessLog: options.accessLog ?? false,
    traffic: {
      connectionsPerSandbox: readCount(
        '--connections-per-sandbox',
        options.connectionsPerSandbox,
        defaultTrafficLimits.connectionsPerSandbox,
        MAX_COUNT,
        0,
      ),
      connectionsPerClient: readCount(
        '--connections-per-client',
        options.connectionsPerClient,
        defaultTrafficLimits.connectionsPerClient,
        MAX_COUNT,
        0,
      ),
      requestsPerSecond: readCount('--requests-per-second', options.requestsPerSecond, 0, MAX_COUNT, 0),
      bodyBytes: readCount('--max-body', options.maxBodyMB, 0, MAX_COUNT, 0) * 1024 * 1024,
    },
    clients: readClientLimits(options),
    tls: readTls(options),
    redirectToHttps: options.httpsRedirect !== false && !isLoopbackDomain(domain),
    trustedProxies: (options.trustedProxies ?? []).map(readProxyRange),
    maxSandboxes: readCount('--max-sandboxes', options.maxSandboxes, 1000, 2000),
    maxSnapshots: readCount('--max-snapshots', options.maxSnapshots, 1000, 100_000, 0),
    warm: readCount('--warm', options.warm, defaultWarm(), 1000, 0),
    limits: {
      memoryMB: readCount('--memory', options.memoryMB, DEFAULT_LIMITS.memoryMB, 1_048_576, 128),
      cpuCount: readCount('--cpus', options.cpuCount, DEFAULT_LIMITS.cpuCount, 256),
      diskSizeMB: readCount('--disk', options.diskSizeMB, DEFAULT_LIMITS.diskSizeMB, 16_777_216, 64),
      processes: DEFAULT_LIMITS.processes,
    },
  };
}

function readClientLimits(options: ServerOptions): ClientLimits {
  const { headBytes, headerCount, headTime, idleTime } = defaultClientLimits;
  const { maxHeaderKB, maxHeaderLines, headerTimeoutSeconds, idleTimeoutSeconds } = options;
  return {
    // HTTP/2 libraries take no more of one request.
    headBytes: readCount('--max-header', maxHeaderKB, headBytes / 1024, 128, 4) * 1024,
    headerCount: readCount('--max-header-lines', maxHeaderLines, headerCount, 1000, 20),
    headTime: readCount('--header-timeout', headerTimeoutSeconds, headTime / 1000, 600) * 1000,
    idleTime: readCount('--idle-timeout', idleTimeoutSeconds, idleTime / 1000, 86_400) * 1000,
  };
}

/** What a started sandbox takes that nobody has used yet is well below this. */
const WARM_BYTES = 64 * 1024 * 1024;

function defaultWarm(): number {
  return Math.min(4 * availableParallelism(), Math.floor(totalmem() / 20 / WARM_BYTES));
}

/** Names under `.localhost` lead to this machine only (RFC 6761), so only it is listened for. */
export function isLoopbackDomain(domain: string): boolean {
  return domain === 'localhost' || domain.endsWith('.localhost');
}

function defaultListen(domain: string): ListenAddress[] {
  const hosts = isLoopbackDomain(domain) ? ['127.0.0.1', '::1'] : ['0.0.0.0', '::'];
  const hasIPv6 = networkInterfaces().lo?.some(({ family }) => family === 'IPv6') ?? false;
  return hosts.filter((host) => hasIPv6 || !host.includes(':')).map((host) => ({ host, port: DEFAULT_PORT }));
}

function readListen(text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+|localhost)):([1-9][0-9]{0,4})$/.exec(text);
  const host = match?.[2] === 'localhost' ? '127.0.0.1' : (match?.[1] ?? match?.[2]);
  const port = Number(match?.[3]);
  if (host === undefined || isIP(host) === 0 || port > 65_535) {
    throw invalid('--listen', text, 'ADDRESS:PORT, such as 0.0.0.0:443 or [::]:443');
  }
  return { host, port };
}

function readNameserver(text: string): string {
  if (isIP(text) === 0) throw invalid('--nameserver', text, 'an IP address');
  return text;
}

function readRange(option: string, text: string): string {
  const [address, prefix, more] = text.split('/');
  const isRange = isIPv4(address!) && more === undefined && /^(?:[0-9]|[12][0-9]|3[0-2])$/.test(prefix ?? '32');
  if (!isRange) throw invalid(option, text, 'an IPv4 address or a CIDR range such as 10.1.0.0/16');
  return text;
}

function readLimit(option: string, value: number | undefined, most: number): number | undefined {
  return value === undefined ? undefined : readCount(option, value, value, most);
}

function readTls({ tlsCert, tlsKey }: ServerOptions): CertificateFiles | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined;
  if (tlsKey === undefined) throw invalid('--tls-key', tlsKey, 'the file with the key of --tls-cert');
  if (tlsCert === undefined) throw invalid('--tls-cert', tlsCert, 'the file with the certificate of --tls-key');
  return { cert: resolve(tlsCert), key: resolve(tlsKey) };
}

function readProxyRange(text: string): string {
  const [address = '', prefix, ...rest] = text.split('/');
  const most = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
  const isRight = prefix === undefined ? most > 0 : /^[0-9]{1,3}$/.test(prefix) && Number(prefix) <= most;
  if (!isRight || rest.length > 0)
    throw invalid('--trusted-proxies', text, 'addresses or CIDR ranges such as 10.0.0.0/8');
  return text;
}

function readCount(option: string, value: number | undefined, fallback: number, most: number, least = 1): number {
  const count = value ?? fallback;
  if (!Number.isInteger(count) || count < least || count > most)
    throw invalid(option, value, `a whole number from ${least} to ${most}`);
  return count;
}

function invalid(option: string, value: unknown, expected: string): SandportError {
  return new SandportError('validation_failed', `${option} is "${value}"; expected ${expected}`);
}
