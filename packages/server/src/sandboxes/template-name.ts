// How programs name templates and snapshots: `name` or `name:tag`. As with e2b, neither part knows upper case.
import { SandportError } from '@sandport/protocol/errors';

export const DEFAULT_TAG = 'default';
const NAME = /^[a-z0-9][a-z0-9_-]{0,127}$/;
const TAG = /^[a-z0-9_.-]{1,128}$/;

export interface TemplateName {
  readonly name: string;
  readonly tag: string;
}

/** What a client asks for. It may be the name of nothing. */
export function parseTemplateName(text: string): TemplateName {
  const [name = '', ...rest] = text.toLowerCase().split(':');
  return { name, tag: rest.length === 0 ? DEFAULT_TAG : rest.join(':') };
}

/**
 * The name that a snapshot is to have, with its tag. Throws `validation_failed`.
 *
 * @param taken names of templates, which a creation looks among first
 */
export function readSnapshotName(text: string, taken: readonly string[]): string {
  const { name, tag } = parseTemplateName(text);
  if (!NAME.test(name) || !TAG.test(tag)) {
    throw new SandportError(
      'validation_failed',
      `validation error: body/name must be letters, digits, "-" and "_", at most 128, with an optional ":tag"`,
    );
  }
  if (taken.includes(name)) {
    throw new SandportError(
      'validation_failed',
      `validation error: body/name must not be '${name}', a template's name`,
    );
  }
  return `${name}:${tag}`;
}
