// The environment of a sandbox's commands, as a creation gives it.
import { SandportError } from '@sandport/protocol/errors';

/** The kernel gives arguments and environment of a program 2 MiB (execve(2)): with more no command could start. */
const MAX_BYTES = 1024 * 1024;

/** Throws `validation_failed`. */
export function readEnvironment(envVars: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  let bytes = 0;
  for (const [name, value] of Object.entries(envVars)) {
    if (/[=\0]/.test(name) || value.includes('\0')) {
      throw invalid(`must have no NUL character, and no "=" in a name: ${JSON.stringify(name.slice(0, 64))}`);
    }
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value) + 2;
  }
  if (bytes > MAX_BYTES) throw invalid(`must be at most ${MAX_BYTES} bytes together, not ${bytes}`);
  return envVars;
}

function invalid(expected: string): SandportError {
  return new SandportError('validation_failed', `validation error: body/envVars ${expected}`);
}
