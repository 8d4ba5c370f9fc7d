import { InvalidArgumentError, Sandbox } from 'sandport';
import { type DataFlag, sdkOptions } from './connection.ts';

/** A sandbox that runs. Throws for one that is paused: a command that only looks at it is not to resume it. */
export async function runningSandbox(id: string, flags: DataFlag): Promise<Sandbox> {
  const options = await sdkOptions(flags);
  const { state } = await Sandbox.getInfo(id, options);
  if (state === 'paused') {
    throw new InvalidArgumentError(`sandbox ${id} is paused; "sandport resume ${id}" has it go on`);
  }
  return Sandbox.connect(id, { ...options, timeoutMs: 0 });
}
