// The composition root: the one place where the parts of the server are put together, and taken apart again.
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { Histogram } from '@sandport/protocol/histogram';
import { createApi } from './api/server.ts';
import { compileCache } from './compile-cache.ts';
import { type ConnectionFile, publicDomain } from './connection-file.ts';
import { DATABASE, GATEWAY_SOCKET, openDataDirectory } from './data-directory.ts';
import { machineNameservers } from './dns/resolver.ts';
import { checkMachine } from './doctor/doctor.ts';
import { WebhookAddresses } from './events/webhook-address.ts';
import { Webhooks } from './events/webhooks.ts';
import { readIfThere, writeFileAtomically } from './files.ts';
import { GatewaySupervisor } from './gateway-supervisor/gateway-supervisor.ts';
import { toPrometheus } from './gateway-supervisor/prometheus.ts';
import { Host } from './host/host.ts';
import { readInstallation } from './host/image/installation.ts';
import { NEIGHBOUR_ADDRESS } from './host/network/slot.ts';
import { openLogger } from './logger.ts';
import { SandboxLogs } from './sandboxes/sandbox-logs.ts';
import { isRunning } from './sandboxes/sandbox-record.ts';
import { SandboxTokens } from './sandboxes/sandbox-tokens.ts';
import { Sandboxes } from './sandboxes/sandboxes.ts';
import { UsageHistory } from './sandboxes/usage-history.ts';
import { wakeForUrl } from './sandboxes/wake-for-url.ts';
import { preferThisProcess } from './scheduling.ts';
import { readSettings, type ServerOptions, type Settings } from './settings.ts';
import { ApiKeys } from './store/api-keys.ts';
import { openDatabase } from './store/database.ts';
import { EventRecords } from './store/event-records.ts';
import { SandboxRecords } from './store/sandbox-records.ts';
import { sealOldRecords } from './store/seal-old-records.ts';
import { SpecSealer } from './store/sealed-spec.ts';
import { Sealer } from './store/sealer.ts';
import { SnapshotRecords } from './store/snapshot-records.ts';
import { WebhookRecords } from './store/webhook-records.ts';
import { openCertificateFiles } from './tls/certificate-files.ts';
import { openOwnAuthority } from './tls/certificate-source.ts';

export interface RunningServer {
  readonly settings: Settings;
  readonly connection: ConnectionFile;
  /** Stops everything that was started. Sandboxes, and the gateways that lead to them, go on only with `keep`. */
  close(options: { keep: boolean }): Promise<void>;
}

const READY_AHEAD = 4;
/** Sandboxes that are started ahead of time when nobody asks for any. */
const LEAST_WARM = 2;
const STOP_GRACE_MS = 5000;

/**
 * Starts a server and returns when it answers.
 *
 * @throws SandportError `validation_failed` for an option, `machine_not_ready` with what is missing and how to mend it
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const settings = readSettings(options);
  await checkMachine(settings);
  preferThisProcess();
  // Everything that is opened is put here, and closed in the reverse order, also when a later step fails.
  await using opened = new AsyncDisposableStack();
  // A start that fails ends nothing that an earlier one made.
  let keep = true;

  const data = await openDataDirectory(settings.data);
  const { logger, close: closeLogger } = openLogger(data.file('logs/server.log'));
  opened.defer(closeLogger);
  const database = openDatabase(data.file(DATABASE));
  opened.defer(() => database.close());
  const installation = await readInstallation();
  const domain = publicDomain(settings);
  const tokens = new SandboxTokens(data.seed);
  const specs = new SpecSealer(data.seed);
  sealOldRecords(database, specs);
  const logs = new SandboxLogs({
    readAgentLog: ({ id, placement }) => host.agentLog(placement, tokens.agentControl(id)),
  });
  const log = {
    event: (name: string, fields: Readonly<Record<string, unknown>>) => {
      logger.info(fields, name);
      logs.note(name, fields);
    },
  };

  const host: Host = await Host.open({
    instance: data.instance,
    dataDirectory: data.path,
    runtime: settings.runtime,
    agentDirectory: installation.agentDirectory,
    limits: settings.limits,
    ready: READY_AHEAD,
    warm: { template: installation.base, least: Math.min(LEAST_WARM, settings.warm), most: settings.warm },
    permittedRanges: settings.permittedRanges,
    egressLimits: settings.egressLimits,
    nameservers: settings.nameservers ?? (await machineNameservers()),
    compileCache: compileCache(),
    onBackgroundError: (event, error) => logger.error({ error }, event),
  });
  let sandboxesLeft = true;
  opened.defer(() => host.close({ sandboxesLeft }));

  const certificates = await (settings.tls === undefined
    ? openOwnAuthority(data.file('tls'), settings.domain)
    : openCertificateFiles(settings.tls, data.file('tls'), settings.domain));
  const apiSocket = data.file('api.sock');
  const wakes = new Histogram();
  const gateways = new GatewaySupervisor({
    socketPath: data.file(GATEWAY_SOCKET),
    settings: {
      domain: settings.domain,
      listen: settings.listen,
      trustedProxies: settings.trustedProxies,
      redirectToHttps: settings.redirectToHttps,
      limits: settings.traffic,
      clients: settings.clients,
      ...(settings.accessLog && { accessLog: data.file('logs/access.log') }),
    },
    tls: certificates.current(),
    services: [{ label: 'api', socketPath: apiSocket }],
    workers: settings.gateways,
    compileCache: compileCache(),
    wake: async (sandboxId) => {
      const begun = performance.now();
      const failure = await wakeForUrl(sandboxes, sandboxId);
      if (failure === undefined) wakes.observe(performance.now() - begun);
      return failure;
    },
    used: (sandboxId) => sandboxes.rouse(sandboxId),
    log: logger,
    workerLogPath: data.file('logs/gateway.log'),
  });
  opened.defer(() => gateways.stop({ graceMs: STOP_GRACE_MS, keepWorkers: keep && sandboxesLeft }));
  const renewal = setInterval(() => {
    certificates
      .renew()
      .then((renewed) => renewed && gateways.setTls(certificates.current()))
      .catch((error: unknown) => logger.error({ error }, 'certificate not renewed'));
  }, certificates.checkMs);
  opened.defer(() => clearInterval(renewal));

  const apiKeys = new ApiKeys(database);
  const events = new EventRecords(database);
  const webhooks = new Webhooks({
    store: new WebhookRecords(database, new Sealer(data.seed, 'webhook-secrets')),
    events,
    addresses: new WebhookAddresses(settings.webhookRanges),
    log,
  });
  opened.defer(() => webhooks.close());

  const sandboxes: Sandboxes = new Sandboxes({
    store: new SandboxRecords(database, events, specs),
    snapshotStore: new SnapshotRecords(database, events, specs),
    host,
    routes: gateways,
    tokens,
    templates: [installation.base],
    limits: settings.limits,
    domain,
    nameservers: [NEIGHBOUR_ADDRESS],
    maxSandboxes: settings.maxSandboxes,
    maxSnapshots: settings.maxSnapshots,
    maxSandboxesOfKey: (id) => apiKeys.get(id)?.maxSandboxes,
    atOnce: availableParallelism() * 2,
    log,
    events,
    onEvent: () => webhooks.wake(),
  });
  opened.defer(async () => {
    ({ sandboxesLeft } = await sandboxes.close({ keep }));
  });
  await sandboxes.open();

  const usage = new UsageHistory({
    running: () => sandboxes.list().filter(isRunning),
    isKnown: (id) => sandboxes.has(id),
    read: ({ placement }) => host.usage(placement),
    onOutOfMemory: (sandboxId, processes) => log.event('out of memory', { sandboxId, processes }),
  });
  opened.use(usage);

  const api = await createApi({
    sandboxes,
    usage,
    logs,
    events,
    webhooks,
    tokens,
    apiKeys,
    prometheus: async () => toPrometheus(await gateways.reports(), { runningSandboxes: sandboxes.runningCount, wakes }),
    logger,
  });
  opened.defer(() => api.close());
  await rm(apiSocket, { force: true });
  await api.listen({ path: apiSocket });
  await gateways.start();

  const connection: ConnectionFile = {
    domain,
    apiKey: await machineApiKey(apiKeys, data.file('connection.json')),
    apiUrl: `https://api.${domain}`,
    scheme: 'https',
    caPath: certificates.authorityPath,
    systemCaBundlePath: certificates.bundlePath,
  };
  await writeFileAtomically(data.file('connection.json'), JSON.stringify(connection, null, 2), 0o600);
  logger.info({ domain, runtime: settings.runtime, listen: settings.listen }, 'server started');

  const stack = opened.move();
  let closing: Promise<void> | undefined;
  return {
    settings,
    connection,
    close(closeOptions) {
      keep = closeOptions.keep;
      closing ??= stack.disposeAsync();
      return closing;
    },
  };
}

/** The key that programs on this machine use: the one of the last start while it is valid, else a new one. */
async function machineApiKey(apiKeys: ApiKeys, connectionPath: string): Promise<string> {
  const before = await readIfThere(connectionPath);
  const key = before === undefined ? undefined : (JSON.parse(before) as Partial<ConnectionFile>).apiKey;
  return key !== undefined && apiKeys.identify(key) !== undefined
    ? key
    : apiKeys.create('this machine', { manages: true }).key;
}
