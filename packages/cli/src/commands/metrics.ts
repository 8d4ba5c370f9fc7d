// sandport metrics: what a sandbox uses.
import type { Command } from 'commander';
import { Sandbox, type SandboxMetrics } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addMetricsCommand(program: Command): void {
  clientCommand(program, 'metrics <id>')
    .description('print what a sandbox uses of processors, memory and disk')
    .option('--all', 'every sample of the last half hour, not only the last')
    .option('--json', 'as JSON lines')
    .action(async (id: string, flags: DataFlag & { all?: boolean; json?: boolean }) => {
      const samples = await Sandbox.getMetrics(id, await sdkOptions(flags));
      for (const sample of flags.all ? samples : samples.slice(-1)) {
        console.log(flags.json ? JSON.stringify(sample) : line(sample));
      }
    });
}

function line({ timestamp, cpuCount, cpuUsedPct, memUsed, memTotal, diskUsed, diskTotal }: SandboxMetrics): string {
  return [
    timestamp.toISOString(),
    `cpu ${cpuUsedPct.toFixed(1)} % of ${cpuCount}`,
    `memory ${mebibytes(memUsed)} of ${mebibytes(memTotal)}`,
    `disk ${mebibytes(diskUsed)} of ${mebibytes(diskTotal)}`,
  ].join('  ');
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
