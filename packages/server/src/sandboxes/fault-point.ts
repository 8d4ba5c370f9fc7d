// Named steps at which a test ends the control process as a crash would: `SANDPORT_FAULT_FILE` names a file that names one.
import { readFileSync } from 'node:fs';

const file = process.env.SANDPORT_FAULT_FILE;

export type FaultPoint =
  | 'create:begun'
  | 'create:placed'
  | 'create:started'
  | 'create:running'
  | 'pause:recorded'
  | 'pause:unrouted'
  | 'pause:written'
  | 'pause:paused'
  | 'pause:removed'
  | 'resume:recorded'
  | 'resume:placed'
  | 'resume:started'
  | 'resume:running'
  | 'snapshot:held'
  | 'snapshot:written'
  | 'snapshot:recorded'
  | 'fork:begun'
  | 'fork:placed'
  | 'fork:started'
  | 'fork:running'
  | 'kill:recorded'
  | 'kill:unrouted'
  | 'kill:removed';

export function faultPoint(name: FaultPoint): void {
  if (file !== undefined && readFileSync(file, 'utf8') === name) process.kill(process.pid, 'SIGKILL');
}
