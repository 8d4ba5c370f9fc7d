// sandport list: the sandboxes there are.
import type { Command } from 'commander';
import { Sandbox, type SandboxInfo } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

export function addListCommand(program: Command): void {
  clientCommand(program, 'list')
    .description('list sandboxes')
    .option('--json', 'as JSON lines')
    .action(async (flags: DataFlag & { json?: boolean }) => {
      const pages = Sandbox.list(await sdkOptions(flags));
      while (pages.hasNext) {
        for (const info of await pages.nextItems()) console.log(flags.json ? JSON.stringify(info) : line(info));
      }
    });
}

function line({ sandboxId, name, templateId, state, endAt, metadata }: SandboxInfo): string {
  const left = Math.max(0, Math.round((endAt.getTime() - Date.now()) / 1000));
  const pairs = Object.entries(metadata).map(([key, value]) => `${key}=${value}`);
  const end = state === 'paused' ? 'has no end' : `ends in ${left} s`;
  return [sandboxId, name ?? templateId, state, end, ...pairs].join('  ');
}
