// Named steps at which a test ends the control process as a crash would: `SANDPORT_CRASH_AT=pause:written`.

const wanted = process.env.SANDPORT_CRASH_AT;

export type FaultPoint =
  | 'create:recorded'
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
  | 'fork:recorded'
  | 'fork:placed'
  | 'fork:started'
  | 'fork:running'
  | 'kill:recorded'
  | 'kill:unrouted'
  | 'kill:removed';

export function faultPoint(name: FaultPoint): void {
  if (wanted === name) process.kill(process.pid, 'SIGKILL');
}
