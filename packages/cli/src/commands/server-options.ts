// The options of every command that starts or examines a server.
import type { ServerOptions } from '@sandport/server/settings';
import type { Command } from 'commander';
import { wholeNumber } from '../whole-number.ts';

/** As commander hands them over. */
export interface ServerFlags {
  readonly data?: string;
  readonly listen?: string[];
  readonly domain?: string;
  readonly nameserver?: string[];
  readonly permit?: string[];
  readonly webhookPermit?: string[];
  readonly egressConnections?: number;
  readonly egressBandwidth?: number;
  readonly runtime?: string;
  readonly gateways?: number;
  readonly trustedProxies?: string[];
  readonly connectionsPerSandbox?: number;
  readonly connectionsPerClient?: number;
  readonly requestsPerSecond?: number;
  readonly maxBody?: number;
  readonly maxHeader?: number;
  readonly maxHeaderLines?: number;
  readonly headerTimeout?: number;
  readonly idleTimeout?: number;
  readonly accessLog?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly httpsRedirect?: boolean;
  readonly maxSandboxes?: number;
  readonly maxSnapshots?: number;
  readonly warm?: number;
  readonly memory?: number;
  readonly cpus?: number;
  readonly disk?: number;
  readonly keep?: boolean;
}

/** Heading in the help. */
export const PUBLIC_URLS = 'Public URLs:';

export function addServerOptions(command: Command): Command {
  return (
    command
      .option('--data <dir>', 'directory of everything that has to survive')
      .option(
        '--nameserver <address>',
        'passes questions of sandboxes on to it, not to those of the machine; can be repeated',
        collect,
      )
      .option('--permit <cidr>', 'a private range that sandboxes may reach all the same; can be repeated', collect)
      .option('--webhook-permit <cidr>', 'a private range that webhooks may lead to; can be repeated', collect)
      .option(
        '--egress-connections <number>',
        'connections to the outside of a sandbox at once (default: no limit)',
        wholeNumber,
      )
      .option('--egress-bandwidth <Mbit/s>', 'of a sandbox, in each direction (default: no limit)', wholeNumber)
      .option('--runtime <name>', 'runsc (gVisor) or runc (default: runsc)')
      // What docs/gateway.md has.
      .optionsGroup(PUBLIC_URLS)
      .option('--domain <domain>', 'domain of the public URLs (default: sandport.localhost)')
      .option('--listen <host:port>', 'address of the gateway, HTTPS and HTTP alike; can be repeated', collect)
      .option('--gateways <number>', 'gateway workers (default: one a processor, at most 4)', wholeNumber)
      .option('--connections-per-sandbox <number>', 'that are open at once; 0: any (default: 8192)', wholeNumber)
      .option('--connections-per-client <number>', 'from one address at once; 0: any (default: 4096)', wholeNumber)
      .option('--requests-per-second <number>', 'to one sandbox (default: 0, any)', wholeNumber)
      .option('--max-body <MiB>', 'body of a request to a public URL (default: 0, any)', wholeNumber)
      .option('--max-header <KiB>', 'head of a request or an answer (default: 64)', wholeNumber)
      .option('--max-header-lines <number>', 'of a request or an answer (default: 200)', wholeNumber)
      .option('--header-timeout <seconds>', 'in which the head of a request has to come (default: 30)', wholeNumber)
      .option(
        '--idle-timeout <seconds>',
        'after which a connection without requests is ended (default: 620)',
        wholeNumber,
      )
      .option('--access-log', 'log every answer of the gateways in logs/access.log')
      .option('--tls-cert <file>', 'certificate for the domain and *.DOMAIN, in PEM; taken again when it changes')
      .option('--tls-key <file>', 'its key')
      .option('--no-https-redirect', 'serve HTTP too on a domain that is no loopback one')
      .option('--trusted-proxies <cidr,...>', 'proxies in front that may say who their clients are', list)
      .optionsGroup('Options:')
      .option('--max-sandboxes <number>', 'sandboxes alive at once (default: 1000)', wholeNumber)
      .option('--max-snapshots <number>', 'snapshots kept at once (default: 1000)', wholeNumber)
      .option(
        '--warm <number>',
        'most sandboxes kept started ahead of demand, and containers for resumptions (default: 4 a processor)',
        wholeNumber,
      )
      .option('--memory <MiB>', 'memory of a sandbox (default: 1024)', wholeNumber)
      .option('--cpus <number>', 'processors of a sandbox (default: 2)', wholeNumber)
      .option('--disk <MiB>', 'disk of a sandbox (default: 10240)', wholeNumber)
  );
}

export function serverOptions(flags: ServerFlags): ServerOptions & { keep: boolean } {
  const {
    nameserver: nameservers,
    egressBandwidth: egressBandwidthMbit,
    memory,
    cpus,
    disk,
    maxBody,
    maxHeader,
    headerTimeout,
    idleTimeout,
    keep,
    ...same
  } = flags;
  return {
    ...same,
    nameservers,
    egressBandwidthMbit,
    memoryMB: memory,
    cpuCount: cpus,
    maxBodyMB: maxBody,
    maxHeaderKB: maxHeader,
    headerTimeoutSeconds: headerTimeout,
    idleTimeoutSeconds: idleTimeout,
    diskSizeMB: disk,
    keep: keep ?? false,
  };
}

function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

function list(value: string, before: string[] = []): string[] {
  return [...before, ...value.split(',').map((one) => one.trim())];
}
