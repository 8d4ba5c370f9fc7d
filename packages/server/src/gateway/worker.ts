// The worker process: `node worker.ts CONTROL_SOCKET_PATH [ORPHAN_MS]`. It serves public URLs, and goes on serving
// what it knows while the control process is away.

import { flushCompileCache } from 'node:module';
import type { GatewayDownward, GatewayTls, TrafficUsage } from '@sandport/protocol/routes';
import { ControlLink } from './control-link.ts';
import { Gateway } from './gateway.ts';
import { setClientLimits } from './limits.ts';
import type { RouteEvents } from './routing/route-table.ts';

/** How long a worker serves without a control process before it ends. */
const ORPHAN_TIME = 15 * 60 * 1000;
const TERM_GRACE = 10_000;

const [, , socketPath, orphanText] = process.argv;
if (socketPath === undefined) {
  console.error('usage: worker.ts CONTROL_SOCKET_PATH [ORPHAN_MS]');
  process.exit(2);
}
const orphanTime = orphanText === undefined ? ORPHAN_TIME : Number(orphanText);

let gateway: Gateway | undefined;
let starting: Promise<void> | undefined;
let stopping = false;

/** One event a line, in the form of the server's log. */
function log(level: 'info' | 'warn' | 'error', event: string, fields: object = {}): void {
  console.log(JSON.stringify({ level, time: Date.now(), pid: process.pid, event, ...fields }));
}

async function stop(graceMs: number): Promise<void> {
  if (stopping) return;
  stopping = true;
  await starting;
  await gateway?.stop(graceMs);
  link.end();
  process.exit(0);
}

async function start(message: GatewayDownward & { type: 'snapshot' }): Promise<void> {
  // A worker that finds itself compiled starts in a tenth of the time and in half of the memory: it does without the
  // program that strips types.
  flushCompileCache();
  try {
    if (message.settings.clients !== undefined) setClientLimits(message.settings.clients);
    const events: RouteEvents = {
      wake: (sandboxId) => link.send({ type: 'wake', sandboxId }),
      used: (sandboxId) => link.offer({ type: 'used', sandboxId }),
    };
    const tellUsage = (usage: TrafficUsage) => link.send({ type: 'usage', usage });
    gateway = await Gateway.start({ ...message, events, tellUsage });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    log('error', 'worker cannot start', { error: text });
    link.send({ type: 'failed', message: text });
    link.end();
    process.exitCode = 1;
    // The message is on its way to another process; leaving at once would lose it.
    setTimeout(() => process.exit(1), 500);
    return;
  }
  link.send({ type: 'ready' });
}

/** A certificate that cannot be used must not cost the connections that use the one before. */
function setTls(serving: Gateway, tls: GatewayTls): void {
  try {
    serving.setTls(tls);
  } catch (error) {
    log('error', 'certificate not taken', { error: error instanceof Error ? error.message : String(error) });
  }
}

function onMessage(message: GatewayDownward): void {
  if (message.type === 'stop') {
    void stop(message.graceMs);
  } else if (message.type === 'snapshot') {
    if (gateway === undefined) {
      if (starting === undefined) starting = start(message);
      else void starting.then(() => gateway !== undefined && onMessage(message));
      return;
    }
    if (JSON.stringify(message.settings) !== JSON.stringify(gateway.settings)) {
      log('warn', 'settings differ from those the worker started with; restart the gateway to apply them');
    }
    setTls(gateway, message.tls);
    gateway.table.workers = message.workers;
    gateway.table.replace(message.routes, message.services);
    gateway.shared.tellAgain();
    link.send({ type: 'ready' });
  } else if (gateway === undefined) {
    // Changes follow a snapshot that is still being applied.
    void starting?.then(() => gateway !== undefined && onMessage(message));
  } else if (message.type === 'set-tls') {
    setTls(gateway, message.tls);
  } else if (message.type === 'report') {
    link.send({ type: 'report', sequence: message.sequence, report: gateway.report() });
  } else if (message.type === 'usage-elsewhere') {
    gateway.shared.hear(message.usage);
  } else if (message.type === 'wake-failed') {
    gateway.table.wakeFailed(message.sandboxId, message.code);
  } else {
    if (message.type === 'set-route') gateway.table.setRoute(message.route);
    else gateway.table.deleteRoute(message.sandboxId);
    link.send({ type: 'applied', sequence: message.sequence });
  }
}

const link = new ControlLink(socketPath, {
  message: onMessage,
  missing: (since) => {
    // What the others have is not heard of any more.
    gateway?.shared.hear();
    if (since < orphanTime) return;
    log('warn', 'no control process; worker ends', { ms: Math.round(since) });
    void stop(TERM_GRACE);
  },
});

// Ctrl-C reaches the whole process group; the control process decides when its workers end.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => void stop(TERM_GRACE));
// Whatever state led here cannot be trusted with other people's requests. The supervisor starts another worker.
process.on('uncaughtException', (error) => {
  log('error', 'uncaught exception', { error: error.stack ?? String(error) });
  process.exit(70);
});
