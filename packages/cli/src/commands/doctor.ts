// sandport doctor: what Sandport needs of this machine, and what mends each thing that is missing.
import type { Command } from 'commander';
import { addServerOptions, type ServerFlags, serverOptions } from './server-options.ts';

const marks = { good: 'ok  ', warning: 'warn', bad: 'BAD ' } as const;

export function addDoctorCommand(program: Command): void {
  addServerOptions(program.command('doctor'))
    .description('check this machine for everything that Sandport needs')
    .action(async (flags: ServerFlags) => {
      const { examine } = await import('@sandport/server/doctor/doctor');
      const { readSettings } = await import('@sandport/server/settings');
      const findings = await examine(readSettings(serverOptions(flags)), { again: true });
      for (const { name, state, text, remedy } of findings) {
        console.log(`${marks[state]}  ${name}: ${text}`);
        if (remedy !== undefined) console.log(`        mend it with: ${remedy}`);
      }
      if (findings.some(({ state }) => state === 'bad')) process.exitCode = 1;
    });
}
