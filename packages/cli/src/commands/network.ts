// sandport network: what a sandbox may reach, what it sent and received, and what it was denied.
import type { NetworkReport } from '@sandport/protocol/api';
import type { Command } from 'commander';
import { callApi } from '../call-api.ts';
import { clientCommand, type DataFlag } from '../connection.ts';

export function addNetworkCommand(program: Command): void {
  clientCommand(program, 'network <id>')
    .description('show what a sandbox may reach, and what it was denied of late')
    .option('--json', 'as JSON')
    .action(async (id: string, flags: DataFlag & { json?: boolean }) => {
      const report = (await callApi(flags, 'GET', `/sandboxes/${encodeURIComponent(id)}/network`)) as NetworkReport;
      console.log(flags.json ? JSON.stringify(report) : text(report));
    });
}

function text({ allowInternetAccess, network, traffic, denials }: NetworkReport): string {
  const { allowOut = [], denyOut = [], rules = {}, egressProxy } = network;
  const lines = [
    `internet     ${allowInternetAccess === false ? 'off' : 'on'}`,
    ...(allowOut.length > 0 ? [`allowed      ${shortList(allowOut)}`] : []),
    ...(denyOut.length > 0 ? [`denied       ${shortList(denyOut)}`] : []),
    ...Object.entries(rules).map(([domain, list]) => {
      const names = list.flatMap(({ transform }) => Object.keys(transform?.headers ?? {}));
      return `headers      ${domain}: ${names.join(', ')}`;
    }),
    ...(egressProxy ? [`proxy        ${egressProxy.address}`] : []),
    `connections  ${traffic.connections}`,
    `sent         ${traffic.sentBytes} bytes`,
    `received     ${traffic.receivedBytes} bytes`,
    `denials      ${traffic.denied}`,
    ...denials.map(({ at, protocol, name, address, port, reason, count }) => {
      const where = [name, address && (port === undefined ? address : `${address}:${port}`)].filter(Boolean).join(' ');
      return `  ${at.slice(0, 19).replace('T', ' ')}  ${protocol}  ${where}  ${reason}${count > 1 ? `  (${count} times)` : ''}`;
    }),
  ];
  return lines.join('\n');
}

const SHOWN = 20;

function shortList(entries: readonly string[]): string {
  const more = entries.length - SHOWN;
  return entries.slice(0, SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
