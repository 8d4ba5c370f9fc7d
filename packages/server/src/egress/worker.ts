// The egress process: `node worker.ts SOCKET SETTINGS PORTS`, the latter two as JSON. Resolver and proxy of all
// sandboxes; it goes on with the rules it knows while the control process is away, and runs as nobody once it listens.
import { chmodSync, rmSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { createServer, type Socket } from 'node:net';
import { NameLookup } from '../dns/name-lookup.ts';
import { Resolver } from '../dns/resolver.ts';
import { Dialler } from './dialler.ts';
import { EgressProxy } from './egress-proxy.ts';
import { Interceptor } from './interceptor.ts';
import { LeafCertificates } from './leaf-certificates.ts';
import { LineBudget } from './line-budget.ts';
import type { EgressDone, EgressFeed, EgressHello, EgressPorts, EgressRequest, EgressSettings } from './messages.ts';
import { openOriginalDestination } from './original-destination.ts';
import { ReachableRanges, SandboxEgress } from './sandbox-egress.ts';

/** How long it serves without a control process before it ends. */
const ORPHAN_MS = 15 * 60 * 1000;
/** Characters of an error in the log. */
const MAX_ERROR = 4000;

const [, , socketPath, settingsText, portsText] = process.argv;
if (socketPath === undefined || settingsText === undefined || portsText === undefined) {
  console.error('usage: worker.ts SOCKET SETTINGS PORTS');
  process.exit(2);
}
const settings = JSON.parse(settingsText) as EgressSettings;
const wanted = JSON.parse(portsText) as EgressPorts;

const ranges = new ReachableRanges(settings.permitted);
const sandboxes = new Map<string, SandboxEgress>();
const sandboxOf = (address: string): SandboxEgress | undefined => sandboxes.get(address);
const lookup = new NameLookup(settings.nameservers);
const resolver = new Resolver({ policyOf: sandboxOf, lookup });
const proxy = new EgressProxy({
  sandboxOf,
  originalDestination: openOriginalDestination(),
  dialler: new Dialler(lookup),
  interceptor: new Interceptor(new LeafCertificates()),
  maxConnections: settings.maxConnections,
});

function set(feed: EgressFeed): void {
  const sandbox = sandboxes.get(feed.address);
  if (sandbox === undefined) sandboxes.set(feed.address, new SandboxEgress(feed, ranges));
  else sandbox.apply(feed);
}

function remove(address: string): void {
  const sandbox = sandboxes.get(address);
  sandboxes.delete(address);
  for (const connection of sandbox?.connections ?? []) connection.cut();
}

function answer(request: EgressRequest): unknown {
  switch (request.type) {
    case 'snapshot': {
      const known = new Set(request.sandboxes.map(({ address }) => address));
      for (const address of sandboxes.keys()) if (!known.has(address)) remove(address);
      request.sandboxes.forEach(set);
      return undefined;
    }
    case 'set':
      return set(request.sandbox);
    case 'delete':
      return remove(request.address);
    case 'traffic':
      return Object.fromEntries([...sandboxes].map(([address, { traffic }]) => [address, traffic]));
    case 'report': {
      const sandbox = sandboxes.get(request.address);
      if (sandbox === undefined) return undefined;
      const names = request.addresses.map((address) => [address, sandbox.nameOf(address)]);
      return { traffic: sandbox.traffic, denials: sandbox.denials, names: Object.fromEntries(names) };
    }
    case 'stop':
      // The answer is on its way to another process; leaving at once would lose it.
      setTimeout(() => process.exit(0), 20);
      return undefined;
  }
}

let orphaned: NodeJS.Timeout | undefined;
let links = 0;

function onControl(socket: Socket): void {
  links++;
  clearTimeout(orphaned);
  socket.setEncoding('utf8');
  const send = (message: EgressHello | EgressDone): void => void socket.write(`${JSON.stringify(message)}\n`);
  let rest = '';
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const request = JSON.parse(line) as EgressRequest;
      send({ type: 'done', sequence: request.sequence, result: answer(request) });
    }
  });
  socket.on('error', () => {});
  socket.on('close', () => {
    if (--links === 0) waitForControl();
  });
  send({ type: 'hello', pid: process.pid, settings, ports });
}

function waitForControl(): void {
  orphaned = setTimeout(() => process.exit(0), ORPHAN_MS);
}

// Ctrl-C reaches the whole process group; the control process decides when this one ends.
process.on('SIGINT', () => {});
process.on('SIGHUP', () => {});
process.on('SIGTERM', () => process.exit(0));
// One bad connection must not end those of all sandboxes; without this process none gets out, so the door stays shut.
process.on('uncaughtException', (error) => log('uncaught exception', error));
process.on('unhandledRejection', (error) => log('unhandled rejection', error));

const logLines = new LineBudget();

function log(event: string, error: unknown): void {
  const line = logLines.take();
  if (line === undefined) return;
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const entry = { level: 'error', time: Date.now(), pid: process.pid, event, error: text.slice(0, MAX_ERROR), ...line };
  console.log(JSON.stringify(entry));
}

const ports: EgressPorts = { dns: await resolver.listen(wanted.dns), proxy: proxy.listen(wanted.proxy) };
rmSync(socketPath, { force: true });
const control = createServer(onControl);
await new Promise<void>((resolve) => control.listen(socketPath, resolve));
chmodSync(socketPath, 0o600);
// For the next one, and while it may still write there.
flushCompileCache();
if (process.getuid?.() === 0) {
  process.setgroups?.([]);
  process.setgid?.(settings.uid);
  process.setuid?.(settings.uid);
}
waitForControl();
