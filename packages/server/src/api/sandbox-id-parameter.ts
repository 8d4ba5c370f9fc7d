// The sandbox ID in a path: plain, or with the client ID that older clients append.
import { SandportError } from '@sandport/protocol/errors';
import { isSandboxId } from '@sandport/protocol/host-name';
import { Type } from 'typebox';

export const SandboxIdParameter = Type.Object({ sandboxID: Type.String() });

/** Throws `invalid_sandbox_id`. */
export function readSandboxId(text: string): string {
  const id = text.split('-', 1)[0]!;
  if (!isSandboxId(id)) throw new SandportError('invalid_sandbox_id', 'Invalid sandbox ID');
  return id;
}
