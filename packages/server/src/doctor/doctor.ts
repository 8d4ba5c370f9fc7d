// Looks at each thing that Sandport needs. "sandport doctor" prints it; the start refuses with the same words.
import { SandportError } from '@sandport/protocol/errors';
import type { Settings } from '../settings.ts';
import { Complaint } from './check.ts';
import { machineChecks } from './machine-checks.ts';
import { networkChecks } from './network-checks.ts';
import { runtimeChecks } from './runtime-checks.ts';

export interface Finding {
  readonly name: string;
  readonly state: 'good' | 'warning' | 'bad';
  /** What was found or what is wrong. */
  readonly text: string;
  /** What mends it; absent when nothing has to be. */
  readonly remedy?: string;
}

const checks = [...machineChecks, ...runtimeChecks, ...networkChecks];

/**
 * Runs every check, also after one has failed.
 *
 * @param options.again whether what takes long is looked at again where it was found good since the machine was started
 */
export async function examine(settings: Settings, { again }: { readonly again: boolean }): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const { name, run } of checks) {
    try {
      findings.push({ name, state: 'good', text: await run(settings, again) });
    } catch (error) {
      const complaint = error instanceof Complaint ? error : new Complaint(String(error), 'see the message');
      findings.push({
        name,
        state: complaint.onlyWarning ? 'warning' : 'bad',
        text: complaint.message,
        remedy: complaint.remedy,
      });
    }
  }
  return findings;
}

/** Throws `machine_not_ready` that names everything that is missing. */
export async function checkMachine(settings: Settings): Promise<void> {
  const bad = (await examine(settings, { again: false })).filter(({ state }) => state === 'bad');
  if (bad.length === 0) return;
  const lines = bad.map(({ name, text, remedy }) => `  ${name}: ${text}\n    mend it with: ${remedy}`);
  throw new SandportError('machine_not_ready', `this machine is not ready:\n${lines.join('\n')}`);
}
