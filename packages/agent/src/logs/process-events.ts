// What the log says of commands.
import type { ManagedProcess } from '../process/managed-process.ts';
import type { ProcessObserver } from '../process/process-table.ts';
import type { EventLog } from './event-log.ts';

export function logProcesses(log: EventLog): ProcessObserver {
  return {
    started: (process) => log.add('info', 'process', 'command started', describe(process)),
    ended(process, { exitCode = 0, status }) {
      log.add(exitCode === 0 ? 'info' : 'warn', 'process', 'command ended', {
        ...describe(process),
        exitCode: String(exitCode),
        status: status ?? '',
      });
    },
  };
}

function describe({ pid, tag, config: { cmd, args = [], cwd } }: ManagedProcess): Record<string, string> {
  return {
    pid: String(pid),
    cmd: [cmd, ...args].join(' '),
    ...(tag !== undefined && { tag }),
    ...(cwd !== undefined && { cwd }),
  };
}
