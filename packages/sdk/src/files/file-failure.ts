// Failures of file operations: what was not found is a file.
import { FileNotFoundError, NotFoundError, SandboxNotFoundError } from '../errors.ts';

/** Awaits an operation on files. */
export async function aboutFiles<Result>(operation: Promise<Result>): Promise<Result> {
  try {
    return await operation;
  } catch (error) {
    throw fileFailure(error);
  }
}

export function fileFailure(error: unknown): unknown {
  if (!(error instanceof NotFoundError) || error instanceof SandboxNotFoundError) return error;
  const { message, statusCode } = error;
  return new FileNotFoundError(message, { cause: error, ...(statusCode !== undefined && { statusCode }) });
}
